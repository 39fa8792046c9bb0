"""What operators read of plugins."""

import io
from zoneinfo import ZoneInfo

from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime import hooks
from difyd.runtime.eventlog import EventLog
from difyd.telemetry.log import make_log
from tests.invoke.fakes import IDENTIFIER, MemoryRuntime


class EventLogTests(SynchronousTestCase):
    def lines(self, *events: hooks.Event) -> list[str]:
        """Level, message and fields of what is logged."""
        out = io.BytesIO()

        class Told(EventLog):
            log = Logger(observer=LogPublisher(make_log(out, "DEBUG", "text", ZoneInfo("UTC"), None, 1, 1)))

        told = Told()
        for event in events:
            told(event)
        return [" ".join([line.split(" ")[1], *line.split(" ")[4:]]) for line in out.getvalue().decode().splitlines()]

    def test_words(self) -> None:
        """The words that operators look for."""
        runtime = MemoryRuntime()
        self.assertEqual(
            self.lines(hooks.Starting(IDENTIFIER), hooks.Ready(runtime), hooks.StartFailed(IDENTIFIER, "no grapes"), hooks.Stopped(runtime)),
            [
                f"INFO local runtime starting: {IDENTIFIER}",
                f"INFO local runtime ready: {IDENTIFIER}",
                f"ERROR local runtime start failed: {IDENTIFIER}: no grapes",
                f"INFO local runtime stopped: {IDENTIFIER}",
            ],
        )

    def test_log_of_a_plugin(self) -> None:
        """The plugin's level, whatever its case; what it said, and when, as fields."""
        levels = ("debug", "WARNING", "Critical", "notice")
        lines = self.lines(*(hooks.InstanceLogged(IDENTIFIER, "0123abcd", level, "no grapes", 1.5) for level in levels))
        rest = f'plugin instance log plugin={IDENTIFIER} instance=0123abcd message="no grapes" timestamp=1.5'
        self.assertEqual(lines, [f"{level} {rest}" for level in ("DEBUG", "WARN", "ERROR", "INFO")])
