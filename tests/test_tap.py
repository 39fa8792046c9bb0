"""Tests for difyd.tap."""

import sys
from io import StringIO
from pathlib import Path
from subprocess import run

from twisted.application.service import Application, IService, IServiceMaker, Service
from twisted.logger import ILogObserver, capturedLogs, formatEvent
from twisted.plugin import IPlugin, getPlugins
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from difyd.tap import Daemon, Options, observer_for
from difyd.telemetry.log import LineLog

REQUIRED = {"SERVER_KEY": "key", "DIFY_INNER_API_URL": "http://api:5001", "DIFY_INNER_API_KEY": "inner"}


class Command(SynchronousTestCase):
    """`twistd difyd` up to the moment when the daemon would be built."""

    def setUp(self) -> None:
        self.out, self.err = StringIO(), StringIO()

    def options(self, **environment: str) -> Options:
        return Options(environment, self.out, self.err)

    def test_bad_settings(self) -> None:
        """One line for each problem on standard error and status 1: no help text, no traceback, nothing on standard output."""
        ended = self.assertRaises(SystemExit, self.options(SERVER_PORT="x", DIFY_INNER_API_URL="http://a").parseOptions, [])
        self.assertEqual((ended.code, self.out.getvalue()), (1, ""))
        self.assertEqual(
            [line.split(": ")[1].split()[0] for line in self.err.getvalue().splitlines()], ["SERVER_PORT", "SERVER_KEY", "DIFY_INNER_API_KEY"]
        )

    def test_unsupported(self) -> None:
        """What this version would have to ignore keeps it from starting."""
        ended = self.assertRaises(SystemExit, self.options(**REQUIRED, PLUGIN_STORAGE_TYPE="s3").parseOptions, [])
        self.assertEqual(ended.code, 1)
        self.assertIn("PLUGIN_STORAGE_TYPE=s3 is not supported", self.err.getvalue())

    def test_check(self) -> None:
        """--check tells the effective settings and the warnings, and ends with 0 when a daemon would start."""
        ended = self.assertRaises(SystemExit, self.options(**REQUIRED, DB_USER="u").parseOptions, ["--check"])
        self.assertEqual(ended.code, 0)
        self.assertIn("\nSERVER_KEY=********\n", self.out.getvalue())
        self.assertIn("\n#SERVER_PORT=5002\n", self.out.getvalue())
        self.assertIn("warning: DB_USER is an old name", self.err.getvalue())

    def test_check_of_bad_settings(self) -> None:
        """--check shows what could be read also when something is wrong, and ends with 1."""
        ended = self.assertRaises(SystemExit, self.options(**REQUIRED, SERVER_PORT="x", LOG_LEVEL="debug").parseOptions, ["--check"])
        self.assertEqual(ended.code, 1)
        self.assertIn("\nLOG_LEVEL=DEBUG\n", self.out.getvalue())
        self.assertIn("SERVER_PORT is 'x'", self.err.getvalue())

    def test_settings_file(self) -> None:
        """--settings goes before DIFYD_SETTINGS."""
        file = self.mktemp()
        with open(file, "w", encoding="utf-8") as written:
            written.write("SERVER_PORT=1234\n")
        options = self.options(**REQUIRED, DIFYD_SETTINGS="/nowhere")
        options.parseOptions(["--settings", file])
        self.assertEqual(options.config.server_port, 1234)

    def test_no_stale_number(self) -> None:
        """In the foreground no pid file is written, for it could refuse a start after a crash; one that is asked for is."""
        for asked, expected in ({"nodaemon": True}, ""), ({"nodaemon": True, "pidfile": "x.pid"}, "x.pid"), ({}, "twistd.pid"):
            twistd = ServerOptions()
            twistd.opts.update(asked)
            options = self.options(**REQUIRED)
            options.parent = twistd
            options.parseOptions([])
            self.assertEqual(twistd["pidfile"], expected)


class Log(SynchronousTestCase):
    """Where a daemon logs."""

    def options(self, *, foreground: bool, **environment: str) -> Options:
        options = Options({**REQUIRED, **environment})
        options.parent = ServerOptions()
        options.parent["nodaemon"] = foreground
        options.parseOptions([])
        return options

    def test_foreground(self) -> None:
        """In the foreground and with LOG_FILE the log has our form."""
        self.assertIsInstance(observer_for(self.options(foreground=True)), LineLog)
        self.assertIsInstance(observer_for(self.options(foreground=False, LOG_FILE=self.mktemp())), LineLog)

    def test_twistd_was_told(self) -> None:
        """A daemon in the background without LOG_FILE, and one that is told by twistd's options, log as twistd does."""
        self.assertIsNone(observer_for(self.options(foreground=False)))
        told = self.options(foreground=True)
        told.parent["logfile"] = "some.log"
        self.assertIsNone(observer_for(told))

    def test_no_such_file(self) -> None:
        """A LOG_FILE that cannot be opened refuses the start with the reference's words and the reason."""
        below = Path(self.mktemp())
        below.touch()
        ended = self.assertRaises(SystemExit, observer_for, self.options(foreground=True, LOG_FILE=str(below / "log")))
        self.assertTrue(str(ended.code).startswith(f'failed to init logger: open log file "{below}/log": '), ended.code)

    def test_first_words(self) -> None:
        """The application gets the observer before it logs; the first lines tell what was set, without secrets, and the warnings."""
        options = self.options(foreground=True, DB_USER="u")
        observer = observer_for(options)
        application, parts = Application("difyd"), Service()
        Daemon(parts, options.config, observer).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)
        with capturedLogs() as events:
            IService(application).startService()
        self.addCleanup(IService(application).stopService)
        first, second = map(formatEvent, events)
        self.assertIn("SERVER_KEY='********'", first)
        self.assertIn("DB_USER is an old name", second)
        self.assertTrue(parts.running)


class Plugin(SynchronousTestCase):
    """How Twisted finds the daemon."""

    def test_found(self) -> None:
        """`twistd` lists the daemon, and the entry provides what it must."""
        [found] = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "difyd"]
        self.assertTrue(IPlugin.providedBy(found) and IServiceMaker.providedBy(found))
        self.assertIs(found.options, Options)

    def test_costs_nothing_to_others(self) -> None:
        """Twisted imports the file for each of its commands: it brings neither our modules nor a reactor with it."""
        code = "import sys, twisted.plugins.difyd_plugin; sys.exit(bool({'difyd', 'twisted.internet.reactor', 'klein'} & sys.modules.keys()))"
        self.assertEqual(run([sys.executable, "-c", code], check=False).returncode, 0)

    def test_cannot_be_built(self) -> None:
        """A daemon that lacks something of its own ends with status 1 and a sentence, no traceback."""
        code = (
            "import sys; sys.modules['uv'] = None; from difyd.tap import Options, makeService; from tests.test_tap import REQUIRED; "
            "options = Options(REQUIRED); options.parent = {'nodaemon': False, 'pidfile': '', 'logger': '', 'logfile': '/x'}; "
            "options.parseOptions([]); makeService(options)"
        )
        ended = run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(
            ended.stderr, r"\Athe daemon cannot start: failed to find uv path: .*; install the Python package uv, or set UV_PATH\n\Z"
        )

    def test_checks_quickly(self) -> None:
        """Reading the settings imports none of the daemon's heavy parts."""
        code = "import sys, difyd.tap; sys.exit(bool({'sqlalchemy', 'klein', 'treq', 'twisted.internet.reactor'} & sys.modules.keys()))"
        self.assertEqual(run([sys.executable, "-c", code], check=False).returncode, 0)
