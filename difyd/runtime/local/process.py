"""The first kind of child: made by `spawnProcess`, behind `launcher.py`, watched by the guard."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.runtime.local.child import Command, Exit, IChild, IChildListener, IChildren, Stream
from difyd.runtime.local.guarding import Guard
from difyd.runtime.local.pipes import PipeReader, PipeWriter, Reactor

LAUNCHER: Final = str(Path(__file__).with_name("launcher.py"))
LAST_WORDS: Final = 1.0
"""Seconds that a dead child's pipes are still listened to. Somebody else who holds them, in a session of its own, may do so for ever."""


@implementer(IChild)
class PipedChild(ProcessProtocol):
    """
    One child behind three pipes.

    The pipes are our own and not those of Twisted's process: `spawnProcess` is only asked to start it and to tell that it was reaped. What
    came through the pipes decides when it has `ended`, bounded by LAST_WORDS.
    """

    pid = 0
    _input: PipeWriter

    def __init__(self, reactor: Reactor, listener: IChildListener, ended: Callable[["PipedChild"], None]) -> None:
        self._reactor, self._listener, self._on_end = reactor, listener, ended
        self._exit: Exit | None = None
        self._over = False
        self._hanging_up: IDelayedCall | None = None
        self._readers: dict[Stream, PipeReader] = {}

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.pid = self.transport.pid

    def adopt(self, ends: Mapping[Stream, int]) -> None:
        """Own our ends of the pipes from now on."""
        self._input = PipeWriter(self._reactor, ends[Stream.INPUT], lambda: self._closed(Stream.INPUT))
        for stream, received in ((Stream.OUTPUT, self._listener.output), (Stream.ERRORS, self._listener.errors)):
            self._readers[stream] = PipeReader(self._reactor, ends[stream], received, partial(self._closed, stream))

    @property
    def queued(self) -> int:
        return self._input.queued

    @property
    def unread(self) -> int:
        return self._input.unread

    def write(self, data: bytes) -> bool:
        return self._input.send(data)

    def room(self) -> Deferred[None]:
        return self._input.room()

    def signal(self, number: signal.Signals) -> None:
        if self._exit is not None:
            return  # its number may be somebody else's by now
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # still the launcher, which has not made a group of its own yet
            assert self.transport is not None
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(int(number))

    def processExited(self, reason: Failure) -> None:
        # What it has started goes with it. The number of the group cannot be another's yet: the system hands numbers out in turn, and ours
        # has become free, if at all, in this very moment.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # Twisted may tell of an exit before spawnProcess has returned; our listener is told when it knows its child.
        self._reactor.callLater(0, self._exited, _exit_of(reason))

    def _exited(self, how: Exit) -> None:
        self._exit = how
        self._listener.exited(how)
        if not self._over:
            self._hanging_up = self._reactor.callLater(LAST_WORDS, self.hang_up)
            self._look()

    def hang_up(self) -> None:
        """Close our ends of the pipes."""
        self._input.close()
        for reader in list(self._readers.values()):
            reader.close()

    def _closed(self, stream: Stream) -> None:
        self._readers.pop(stream, None)
        self._listener.closed(stream)
        self._look()

    def _look(self) -> None:
        if self._over or self._exit is None or self._readers:
            return
        self._over = True
        if self._hanging_up is not None and self._hanging_up.active():
            self._hanging_up.cancel()
        self._input.close()
        self._on_end(self)
        self._listener.ended()


@implementer(IChildren)
@define(eq=False)
class Processes:
    """Starts children as processes of this daemon."""

    _reactor: Reactor
    _guard: Guard
    _running: set[PipedChild] = field(factory=set, init=False)

    def spawn(self, command: Command, listener: IChildListener) -> IChild:
        child = PipedChild(self._reactor, listener, self._ended)
        arguments = [sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), str(command.directory), *command.arguments]
        ours, theirs = _pipes()
        try:
            # The launcher changes the directory. Were it named here, Twisted would fork the whole daemon instead of using posix_spawn.
            self._reactor.spawnProcess(
                child, arguments[0], arguments, env=dict(command.environment), childFDs={int(stream): end for stream, end in theirs.items()}
            )
        except BaseException:
            _close(*ours.values())
            raise
        finally:
            _close(*theirs.values())
        child.adopt(ours)
        self._running.add(child)
        self._guard.watch(child.pid)
        return child

    def kill_all(self) -> None:
        for child in self._running:
            child.signal(signal.SIGKILL)

    def _ended(self, child: PipedChild) -> None:
        self._running.discard(child)
        self._guard.forget(child.pid)


def _pipes() -> tuple[dict[Stream, int], dict[Stream, int]]:
    """Three pipes: our ends and the child's, by stream."""
    ours: dict[Stream, int] = {}
    theirs: dict[Stream, int] = {}
    try:
        theirs[Stream.INPUT], ours[Stream.INPUT] = os.pipe()
        ours[Stream.OUTPUT], theirs[Stream.OUTPUT] = os.pipe()
        ours[Stream.ERRORS], theirs[Stream.ERRORS] = os.pipe()
    except OSError:
        _close(*ours.values(), *theirs.values())
        raise
    return ours, theirs


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _exit_of(reason: Failure) -> Exit:
    why = reason.value
    if isinstance(why, ProcessTerminated):
        return Exit(why.exitCode or 0, why.signal or 0)
    return Exit()
