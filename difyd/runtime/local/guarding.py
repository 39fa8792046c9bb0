"""The daemon's side of `guard.py`: keeps it running and tells it what it would have to kill."""

import sys
from pathlib import Path
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.runtime.local.owner import VARIABLE
from difyd.runtime.local.pipes import Reactor

PROGRAM: Final = str(Path(__file__).with_name("guard.py"))
AGAIN: Final = 1.0
"""Seconds until a guard that somebody has killed is replaced."""


class _Will(ProcessProtocol):
    def __init__(self, guard: "Guard") -> None:
        self._guard = guard

    def processExited(self, reason: Failure) -> None:
        self._guard._exited(self)

    def write(self, line: bytes) -> None:
        assert self.transport is not None
        self.transport.write(line)

    def hang_up(self) -> None:
        assert self.transport is not None
        self.transport.closeStdin()


class Guard(Service):
    """
    Starts the guard with the first group, so that a daemon without plugins has no second process.

    Is stopped after everything that has children: what they have left by then is killed by it.
    """

    log = Logger()

    def __init__(self, reactor: Reactor, mark: str) -> None:
        """`mark` is what the environment of plugins says of their daemon."""
        self._process: IReactorProcess = reactor
        self._clock: IReactorTime = reactor
        self._mark = mark
        self._groups: set[int] = set()
        self._will: _Will | None = None
        self._stopping: Deferred[None] | None = None

    def watch(self, group: int) -> None:
        """Kill `group` should the daemon die."""
        self._groups.add(group)
        if self._will is None:
            self._start()
        else:
            self._will.write(b"+%d\n" % group)

    def forget(self, group: int) -> None:
        """The group is gone; its number may soon be somebody else's."""
        self._groups.discard(group)
        if self._will is not None:
            self._will.write(b"-%d\n" % group)

    def stopService(self) -> Deferred[None]:
        """End it, and with it what is left of our children; fires when it is gone."""
        Service.stopService(self)
        self._stopping = Deferred()
        if self._will is None:
            self._stopping.callback(None)
        else:
            self._will.hang_up()
        return self._stopping

    def _start(self) -> None:
        will = _Will(self)
        arguments = [sys.executable, "-I", "-S", PROGRAM, f"{VARIABLE}={self._mark}"]
        try:
            self._process.spawnProcess(will, arguments[0], arguments, env={}, childFDs={0: "w"})
        except OSError as why:  # too many processes or open files; a plugin is not to fail of that
            self.log.error("the guard of the plugin processes cannot be started, trying again: {why}", why=str(why))
            self._clock.callLater(AGAIN, self._replace)
            return
        self._will = will
        for group in self._groups:
            will.write(b"+%d\n" % group)

    def _exited(self, will: _Will) -> None:
        self._will = None
        if self._stopping is not None:
            if not self._stopping.called:
                self._stopping.callback(None)
            return
        self.log.warn("the guard of the plugin processes ended; starting another")
        self._clock.callLater(AGAIN, self._replace)

    def _replace(self) -> None:
        if self._groups and self._will is None and self._stopping is None:
            self._start()
