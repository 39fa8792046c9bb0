"""
`twistd difyd`: its options, and the one place where the reactor is fetched.

Whatever is wrong with the settings is told before anything is opened: one line for each problem on standard error, status 1, no traceback.
"""

import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TextIO

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from difyd.errors import DaemonError
from difyd.settings import BadSettings, Settings
from difyd.settings.page import listing

if TYPE_CHECKING:
    from difyd.telemetry.log import LineLog

PID_1 = (
    "the daemon must not be process 1: plugins take a parent of that number for their own death; "
    "start it below an init, for instance tini or the one of 'docker run --init'"
)


class Options(usage.Options):
    """
    Settings come from the environment, and from a file that the environment overrides. docs/configuration.md lists all of them.
    """

    synopsis = "[--settings FILE] [--check]"
    longdesc = "The plugin daemon of the Dify platform. SERVER_KEY, DIFY_INNER_API_URL and DIFY_INNER_API_KEY must be set."
    optParameters: ClassVar[list[list[Any]]] = [
        ["settings", "s", None, "Read this file of NAME=value lines, too; the default is the one that DIFYD_SETTINGS names."],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        ["check", "c", "Print the effective settings and what is wrong with them, and end with status 0 or 1."],
    ]

    config: Settings
    """What was read; there is none unless `parseOptions` returned."""

    def __init__(self, environment: Mapping[str, str] | None = None, out: TextIO | None = None, err: TextIO | None = None) -> None:
        usage.Options.__init__(self)
        self._environment = os.environ if environment is None else environment
        self._out, self._err = out or sys.stdout, err or sys.stderr

    def opt_version(self) -> NoReturn:
        """Print the version of the daemon."""
        self._out.write(f"difyd {version('difyd')}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Raises SystemExit: usage.UsageError would print the help of twistd and end with status 0."""
        file = Path(self["settings"]) if self["settings"] else None
        problems: tuple[str, ...] = ()
        try:
            settings = Settings.from_environment(self._environment, file)
        except BadSettings as why:
            problems, settings = why.problems, why.settings
        problems += settings.unsupported()
        if self["check"]:
            self._out.write(listing(settings))
            for warning in settings.warnings:
                self._err.write(f"warning: {warning}\n")
        for problem in problems:
            self._err.write(f"{problem}\n")
        if problems or self["check"]:
            raise SystemExit(1 if problems else 0)
        self.config = settings
        self._adapt_twistd()

    def _adapt_twistd(self) -> None:
        """Replace what twistd would do by itself, unless the operator asked for it."""
        twistd = self.parent
        if twistd is not None and twistd["nodaemon"] and twistd["pidfile"] == "twistd.pid":
            # The lock of the data directory tells a living daemon from a dead one. A file with a number does not: in a container
            # the next process often has the same number, and the daemon would refuse to start after a crash.
            twistd["pidfile"] = ""


class Daemon(MultiService):
    """What twistd runs: it gives the application its log, and says first with which settings it starts."""

    log = Logger()

    def __init__(self, parts: IService, settings: Settings, observer: ILogObserver | None) -> None:
        MultiService.__init__(self)
        self._settings, self._observer = settings, observer
        parts.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """twistd asks its application for an observer once the application is made, and only then begins to log."""
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)
        MultiService.setServiceParent(self, parent)

    def startService(self) -> None:
        self.log.info("difyd {version} starts with {given!r}", version=version("difyd"), given=self._settings)
        for warning in self._settings.warnings:
            self.log.warn("{what}", what=warning)
        MultiService.startService(self)


def observer_for(options: Options) -> "LineLog | None":
    """
    The observer that the settings ask for, or None where twistd's own is the better one.

    That is when twistd was told of another place, and when there is neither a terminal nor a LOG_FILE. Raises SystemExit when the file
    cannot be opened.
    """
    settings = options.config
    twistd: Any = options.parent
    if twistd["logger"] or twistd["logfile"] or twistd.get("syslog") or not (twistd["nodaemon"] or settings.log_file):
        return None
    from difyd.telemetry.log import make_log

    file = Path(settings.log_file) if settings.log_file else None
    size, backups = settings.log_file_max_size, settings.log_file_backup_count
    try:
        return make_log(sys.stdout.buffer, settings.log_level, settings.log_output_format, settings.zone, file, size, backups)
    except OSError as why:
        raise SystemExit(f'failed to init logger: open log file "{file}": {why.strerror}; LOG_FILE names it') from why


def prefer_our_reactor() -> None:
    """Install it unless there is one already, as with `twistd --reactor`, and where there is no epoll, which only Linux has."""
    if "twisted.internet.reactor" not in sys.modules and sys.platform == "linux":
        from difyd.reactor import install

        install()


def makeService(options: Options) -> IService:
    """Called by twistd once the options are parsed."""
    if os.getpid() == 1:
        raise SystemExit(PID_1)
    observer = observer_for(options)
    prefer_our_reactor()
    from twisted.internet import reactor

    from difyd.service import build  # everything else is imported only by a daemon that is going to run

    reopen = observer.reopen if observer is not None else lambda: None
    try:
        parts = build(reactor, options.config, reopen)
    except DaemonError as why:
        raise SystemExit(f"the daemon cannot start: {why}") from why
    return Daemon(parts, options.config, observer)
