"""The command, the demo and the example plugin, as a newcomer meets them."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess, Popen, run
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
LIMIT = 600
"""Seconds for a whole demo on a slow machine; it takes ten on a fast one."""


def command(*arguments: str | Path, home: str, environment: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """Run to the end; standard error is kept apart."""
    return run(list(map(str, arguments)), cwd=home, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)


class Twistd(SynchronousTestCase):
    """`twistd -n difyd` as a process."""

    def test_without_settings(self) -> None:
        """Without its keys the daemon says what it misses, one line each, and ends with status 1: no help, no traceback."""
        with TemporaryDirectory() as home:
            ended = command(BIN / "twistd", "-n", "difyd", home=home, environment={"PATH": os.environ["PATH"]})
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertEqual(
                [line.split()[2] for line in ended.stderr.splitlines()], ["SERVER_KEY", "DIFY_INNER_API_URL", "DIFY_INNER_API_KEY"]
            )
            self.assertEqual(os.listdir(home), [], "a refused start leaves nothing")


class Demo(SynchronousTestCase):
    """`make demo`."""

    def test_once(self) -> None:
        """From the source of a plugin on the real SDK to its streamed answer; the daemon ends with status 0 and leaves no process."""
        with TemporaryDirectory() as home:
            self.need_packages(home)
            demo = run(
                [sys.executable, str(ROOT / "examples" / "demo.py"), "--once", "--home", home],
                stdout=PIPE, stderr=STDOUT, text=True, timeout=LIMIT, check=False,
            )  # fmt: skip
            log = (Path(home) / "daemon.log").read_text(errors="replace")
            self.assertEqual(demo.returncode, 0, f"{demo.stdout}\n{log}")
            self.assertIn("The text has 2 sentences, 22 words and 86 letters.", demo.stdout)
            self.assertIn('{"rows": [{"city": "Oslo", "people": 717710}, {"city": "Turku", "people": 206035}]}', demo.stdout)
            self.assertIn("the daemon ended with status 0", demo.stdout)
            self.assertTrue((Path(home) / "words.svg").read_bytes().startswith(b"<svg"))

    def test_ended(self) -> None:
        """A demo whose terminal is closed takes its daemon with it."""
        with TemporaryDirectory() as home:
            demo = Popen([sys.executable, str(ROOT / "examples" / "demo.py"), "--home", home], stdout=PIPE, stderr=STDOUT, text=True)
            assert demo.stdout is not None
            said = ""
            while "== Package" not in said:
                line = demo.stdout.readline()
                self.assertTrue(line, said)
                said += line
            demo.send_signal(signal.SIGHUP)
            said += demo.communicate(timeout=LIMIT)[0]
            self.assertIn("== Stopped: the daemon ended with status 0", said)
            self.assertEqual(demo.returncode, 0)

    def need_packages(self, home: str) -> None:
        """The SDK comes from a package index; where none can be reached there is nothing to try."""
        requirements = ROOT / "examples" / "text_toolbox" / "requirements.txt"
        probe = command(BIN / "uv", "pip", "compile", "--quiet", "--no-deps", requirements, home=home)
        if probe.returncode != 0:
            raise SkipTest(f"no package index can be reached: {probe.stderr.strip()[-200:]}")
