"""Tests for difyd.tap."""

import sys
from io import StringIO
from subprocess import run

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from difyd.tap import Options

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

    def test_checks_quickly(self) -> None:
        """Reading the settings imports none of the daemon's heavy parts."""
        code = "import sys, difyd.tap; sys.exit(bool({'sqlalchemy', 'klein', 'treq', 'twisted.internet.reactor'} & sys.modules.keys()))"
        self.assertEqual(run([sys.executable, "-c", code], check=False).returncode, 0)
