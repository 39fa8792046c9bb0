"""Log lines: their two forms, what stays out of them, where they go."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.telemetry.lines import Clockface
from difyd.telemetry.log import FileSink, LineLog, make_log

UTC = ZoneInfo("UTC")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Logs(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.BytesIO()

    def log(self, form: str = "text", level: str = "INFO", file: Path | None = None, zone: ZoneInfo = UTC) -> Logger:
        self.lines = make_log(self.out, level, form, zone, file, 1, 2)
        return Logger(observer=LogPublisher(self.lines))

    def text(self) -> str:
        text = self.out.getvalue().decode()
        self.out.seek(0)
        self.out.truncate()
        return text

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.text())
        return record

    def test_observer(self) -> None:
        """It is an observer as twistd wants one."""
        self.log()
        self.assertTrue(verifyObject(ILogObserver, self.lines))

    def test_text(self) -> None:
        """`time level service caller ids message key=value`, on one line."""
        self.log().info("HTTP request", trace=TRACE, tenant="t1", user="u1", method="POST", path="/x", status=200)
        self.assertRegex(
            self.text(),
            r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z INFO dify-plugin-daemon test_log\.py:\d+ "
            rf"trace_id={TRACE} tenant_id=t1 user_id=u1 HTTP request method=POST path=/x status=200\n\Z",
        )

    def test_json(self) -> None:
        """The same as one object, with the keys that collectors know."""
        self.log("json").warn("plugin {identifier} is slow", identifier="a/b", trace=TRACE, span="00f067aa0ba902b7", tenant="t1", user_type="x")
        record = self.record()
        self.assertRegex(record.pop("ts"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\Z")
        self.assertRegex(record.pop("caller"), r"\Atest_log\.py:\d+\Z")
        self.assertEqual(
            record,
            {"severity": "WARN", "service": "dify-plugin-daemon", "message": "plugin a/b is slow", "trace_id": TRACE}
            | {"span_id": "00f067aa0ba902b7", "identity": {"tenant_id": "t1", "user_type": "x"}, "attributes": {"identifier": "a/b"}},
        )

    def test_message(self) -> None:
        """A field may be called `message`, as that of a plugin's own log is; what Twisted's older log has under the name is none."""
        log = self.log()
        log.info("plugin instance log", message="no grapes")
        self.assertTrue(self.text().endswith('plugin instance log message="no grapes"\n'))
        log.info("said", message=())
        self.assertTrue(self.text().endswith(" said\n"))
        self.log("json").info("plugin instance log", message="no grapes")
        record = self.record()
        self.assertEqual((record["message"], record["attributes"]), ("plugin instance log", {"message": "no grapes"}))

    def test_told_once(self) -> None:
        """What the message says is not said again behind it; what it does not say is."""
        self.log().info("plugin {identifier} ready after {elapsed:.1f} s", identifier="a/b", elapsed=1.25, pid=7)
        self.assertTrue(self.text().endswith(" plugin a/b ready after 1.2 s pid=7\n"))

    def test_says_who_logs(self) -> None:
        """An event may say itself who logs; it is told in the place of whoever called, and nowhere else."""
        for form in ("text", "json"):
            self.log(form).info("x", log_caller="a.py:7", status=200)
            line = self.text()
            self.assertIn("a.py:7", line)
            self.assertNotIn("log_caller", line)
            self.assertNotIn("test_log", line)

    def test_quoted(self) -> None:
        """Values with blanks, quotes or line ends are quoted, empty ones too."""
        self.log().info("m", a="x y", b='"', c="x\ny", d="", e=None, f="x=y", g=1.5)
        self.assertTrue(self.text().endswith(r' m a="x y" b="\"" c="x\ny" d="" e=None f=x=y g=1.5' + "\n"))

    @given(st.text(), st.text())
    def test_cannot_be_forged(self, first: str, second: str) -> None:
        """Whatever comes from outside, an event is one line."""
        log = self.log()
        log.info("{said} and more", said=first, other=second)
        self.assertEqual(self.out.getvalue().count(b"\n"), 1)
        self.assertNotIn(b"\r", self.out.getvalue())
        self.assertEqual(len(self.text().splitlines()), 1)
        self.out.truncate(0)
        self.out.seek(0)

    def test_control_characters(self) -> None:
        """What would move a cursor, end a line for somebody or turn what follows around is shown instead; other text is as it was."""
        self.log().info("{said} \u00e4\u00a0\u4e2d", said="\x1b[2J\x9b\u2028\u202e\x00", other="\x1b[31m \x85\u2066")
        self.assertTrue(self.text().endswith(r"\x1b[2J\x9b\u2028\u202e\x00" + " \u00e4\u00a0\u4e2d" + r' other="\u001b[31m \x85\u2066"' + "\n"))

    def test_levels(self) -> None:
        """Less important events than asked for are left out; critical is shown as an error."""
        log = self.log(level="WARN")
        for level in (log.debug, log.info, log.warn, log.error, log.critical):
            level("m")
        self.assertEqual(re.findall(r"Z ([A-Z]+) ", self.text()), ["WARN", "ERROR", "ERROR"])

    def failing(self, log: Logger) -> None:
        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            log.failure("it broke: {what}", what="x")

    def test_failure(self) -> None:
        """A failure has its traceback: behind its line in text, in its object in JSON."""
        self.failing(self.log())
        first, *rest = self.text().splitlines()
        self.assertTrue(first.endswith(" it broke: x"))
        self.assertIn("ZeroDivisionError: by nothing", rest[-1])
        self.failing(self.log("json"))
        record = self.record()
        self.assertEqual((record["severity"], record["message"]), ("ERROR", "it broke: x"))
        self.assertIn("ZeroDivisionError: by nothing", record["stack_trace"])

    def test_secrets(self) -> None:
        """A field with the name of a secret shows no value, in either form."""
        for form in ("text", "json"):
            self.log(form).info("m", password="hunter2", api_key="hunter2", credentials={"a": "hunter2"})
            told = self.text()
            self.assertNotIn("hunter2", told)
            self.assertIn("***", told)

    def test_odd_events(self) -> None:
        """Formats that are none, fields that are missing, values that cannot be shown: a line comes out all the same."""

        class Unshowable:
            def __str__(self) -> str:
                return "shown"

        for form in ("text", "json"):
            log = self.log(form)
            for say in (
                lambda log=log: log.info("{missing}"),
                lambda log=log: log.info("{unbalanced", a=1),
                lambda log=log: log.info("{call()}", call=lambda: "called"),
                lambda log=log: log.info("m", value=Unshowable(), number=2**70),
                lambda log=log: log.info("m", value="\ud800"),
                lambda log=log: log.info("m", value={1: {2, 3}}),
                lambda log=log: log.info(),
            ):
                say()
                self.assertEqual(self.text().count("\n"), 1)

    def test_zone(self) -> None:
        """Times are those of the zone that the operator chose, to the nanosecond."""
        self.assertEqual(Clockface(UTC).read(1772352904.5), "2026-03-01T08:15:04.500000000Z")
        berlin = Clockface(ZoneInfo("Europe/Berlin"))
        self.assertEqual(berlin.read(1772352904.25), "2026-03-01T09:15:04.250000000+01:00")
        self.assertEqual(berlin.read(1783584000), "2026-07-09T10:00:00.000000000+02:00")

    def test_deaf_stream(self) -> None:
        """A stream that can no longer be written to costs neither the daemon nor the other places."""

        class Deaf(io.BytesIO):
            def write(self, data: object) -> int:
                raise BrokenPipeError

        path = Path(self.mktemp())
        log = Logger(observer=make_log(Deaf(), "INFO", "text", UTC, path, 1, 2))
        log.info("heard")
        self.assertIn("heard", path.read_text())


class Files(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "logs" / "server.log"

    def sink(self, size: int = 100, backups: int = 2) -> FileSink:
        sink = FileSink.at(self.path, size, backups)
        self.addCleanup(sink.close)
        return sink

    def test_private(self) -> None:
        """Directory and file are made for nobody else; a file that is there keeps the rights that it has."""
        self.sink()
        self.assertEqual((self.path.parent.stat().st_mode & 0o777, self.path.stat().st_mode & 0o777), (0o700, 0o600))
        self.path.chmod(0o640)
        self.sink()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)

    def test_appended(self) -> None:
        """The lines of an earlier run stay."""
        self.sink().write(b"one\n")
        self.sink().write(b"two\n")
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")

    def test_rotated(self) -> None:
        """A file that has reached its size becomes `.1`; only as many are kept as were asked for."""
        sink = self.sink()
        for number in range(6):
            sink.write(b"%d" % number + b"x" * 98 + b"\n")
        names = {path.name: path.read_bytes()[:1] for path in self.path.parent.iterdir()}
        self.assertEqual(names, {"server.log": b"5", "server.log.1": b"4", "server.log.2": b"3"})

    def test_moved_away(self) -> None:
        """Whoever rotates from outside moves the file and asks for a new one."""
        log = make_log(io.BytesIO(), "INFO", "text", UTC, self.path, 1, 2)
        say: Callable[[str], None] = Logger(observer=log).info
        say("before")
        self.path.rename(self.path.with_name("moved"))
        log.reopen()
        say("after")
        self.assertEqual(("after" in self.path.read_text(), "before" in self.path.read_text()), (True, False))
        self.assertIsInstance(log, LineLog)
