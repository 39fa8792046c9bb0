"""Start in order, stop in reverse; what signals mean."""

import atexit
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.application.service import IService, Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.errors import DaemonError

EXIT_FAILED = 1


class Exits(Protocol):
    """The ends of a process; a test hands in its own."""

    def status(self, status: int) -> None:
        """Let the process end with `status` once the reactor has stopped."""

    def now(self, status: int) -> None:
        """End the process at once."""


class ProcessExits:
    """The real ones."""

    def status(self, status: int) -> None:
        """twistd has no word for a status; its own end (pid file, logs) runs first, then this."""

        def end() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

        atexit.register(end)

    def now(self, status: int) -> None:
        os._exit(status)


class Staged(Service):
    """
    Parts that start one after the other and stop in reverse, each once the one before it is done.

    `MultiService` starts without waiting and stops everything at once. Here a part that cannot start stops the daemon, with a message that
    an operator can act on and status 1; a part that does not stop is given up after `patience` seconds, so that those below it are stopped.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        parts: Sequence[IService],
        patience: float,
        exits: Exits | None = None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`started` is called once, when every part has started."""
        self._reactor, self._parts, self._patience, self._done = reactor, tuple(parts), patience, started
        self._exits: Exits = exits or ProcessExits()
        self._started: list[IService] = []
        self._starting: Deferred[None] = succeed(None)

    def startService(self) -> None:
        """Returns at once; the parts start when the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._begin)

    def stopService(self) -> Deferred[None]:
        """Fires when every part that was started has stopped, or was given up."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._starting.cancel()
        return Deferred.fromCoroutine(self._stop())

    def _begin(self) -> None:
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._cannot_start)

    async def _start(self) -> None:
        for part in self._parts:
            self._started.append(part)
            await maybeDeferred(part.startService)
        self._done()
        self.log.info("the daemon serves")

    def _cannot_start(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(DaemonError, OSError):
            self.log.critical("the daemon cannot start: {reason}", reason=failure.getErrorMessage())
        else:
            self.log.failure("the daemon cannot start", failure)
        self._exits.status(EXIT_FAILED)
        self._reactor.stop()

    async def _stop(self) -> None:
        while self._started:
            part = self._started.pop()  # the latest first: what others rely on outlives them
            try:
                await maybeDeferred(part.stopService).addTimeout(self._patience, self._reactor)
            except Exception:  # cancelled or broken, the parts below it must still be stopped
                self.log.failure("{part} did not stop cleanly", part=type(part).__name__)


class OpenFiles(Service):
    """
    Raises the soft limit on open files to the hard one.

    Every connection, every debugging plugin and three pipes of each process take one; the soft limit of 1,024 that systems begin with is
    reached by a thousand half-open connections.
    """

    log = Logger()

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as why:
            self.log.warn("the limit on open files stays at {soft}: {why}", soft=soft, why=str(why))


class Signals(Service):
    """
    The first SIGTERM or SIGINT drains and ends with status 0; the second ends at once, children killed.

    twistd would raise the signal that it got again, after stopping: a supervisor would read that as a crash. So our handlers replace its
    own once the reactor runs. SIGHUP reopens the log file, for whoever rotates it from outside.
    """

    log = Logger()

    def __init__(self, reactor: Any, kill: Callable[[], None], reopen: Callable[[], None], exits: Exits | None = None) -> None:
        self._reactor, self._kill, self._reopen = reactor, kill, reopen
        self._exits: Exits = exits or ProcessExits()
        self._asked = False

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)
        signal.signal(signal.SIGHUP, self._hung_up)

    def _hung_up(self, _number: int, _frame: Any) -> None:
        self._reactor.callFromThread(self._reopen)

    def _received(self, number: int, _frame: Any) -> None:
        self._reactor.callFromThread(self.asked, number)

    def asked(self, number: int) -> None:
        """Somebody wants the daemon to end."""
        name = signal.Signals(number).name
        if self._asked:
            self.log.warn("{signal} again: ending at once", signal=name)
            self._kill()
            self._exits.now(128 + number)
        else:
            self._asked = True
            self.log.info("{signal}: no new calls, running ones may finish; send it again to end at once", signal=name)
            self._reactor.stop()
