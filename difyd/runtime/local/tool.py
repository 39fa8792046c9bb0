"""A program that is run to its end, and what it had to say: uv, an interpreter that is asked something, a compiler."""

import signal
from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from difyd.runtime.local.child import Command, Exit, IChild, IChildListener, IChildren, Stream

KEPT: Final = 64 * 1024
"""Bytes of each stream that are kept, the last ones."""


@frozen
class Finished:
    """How it went."""

    how: Exit
    output: bytes
    errors: bytes
    silent: bool = False
    """It was killed because it had said nothing for too long."""


@implementer(IChildListener)
@define(eq=False)
class _Run:
    """One run, from its start until the process and its pipes are gone."""

    _clock: IReactorTime
    _heard: Callable[[bytes], None] | None
    _child: IChild | None = field(default=None, init=False)
    _kept: dict[Stream, bytearray] = field(factory=lambda: {Stream.OUTPUT: bytearray(), Stream.ERRORS: bytearray()}, init=False)
    _how: Exit = field(factory=Exit, init=False)
    _silent: bool = field(default=False, init=False)
    _patience: IDelayedCall | None = field(default=None, init=False)
    _silence: float = field(default=0.0, init=False)
    _waiter: Deferred[Finished] = field(factory=Deferred, init=False)

    def begin(self, child: IChild, silence: float | None) -> None:
        self._child = child
        if silence is not None:
            self._silence, self._patience = silence, self._clock.callLater(silence, self._too_silent)

    def wait(self) -> Deferred[Finished]:
        """Fires when all is over. Cancelling it stops the waiting and nothing else; one may wait again."""
        self._waiter = Deferred()
        return self._waiter

    def kill(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    def output(self, data: bytes) -> None:
        self._keep(Stream.OUTPUT, data)

    def errors(self, data: bytes) -> None:
        self._keep(Stream.ERRORS, data)

    def closed(self, stream: Stream) -> None:
        """What counts is the end of all."""

    def exited(self, how: Exit) -> None:
        self._how = how

    def ended(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if not self._waiter.called:
            self._waiter.callback(Finished(self._how, bytes(self._kept[Stream.OUTPUT]), bytes(self._kept[Stream.ERRORS]), self._silent))

    def _keep(self, stream: Stream, data: bytes) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.reset(self._silence)
        kept = self._kept[stream]
        kept += data
        del kept[:-KEPT]
        if self._heard is not None:
            self._heard(data)

    def _too_silent(self) -> None:
        self._silent = True
        self.kill()


async def run_tool(
    children: IChildren,
    clock: IReactorTime,
    command: Command,
    *,
    silence: float | None = None,
    heard: Callable[[bytes], None] | None = None,
) -> Finished:
    """
    Run `command` to its end. Nothing is written to it; `heard` is given what it says on either stream, as it comes.

    Ended by SIGKILL to its whole group after `silence` seconds without a byte, and when this is cancelled; returns, or raises CancelledError,
    when nothing of it runs any more and writes into a directory that somebody is about to delete. Raises OSError when it cannot be started
    at all. A limit in all is the caller's, by `addTimeout`.
    """
    run = _Run(clock, heard)
    run.begin(children.spawn(command, run), silence)
    try:
        return await run.wait()
    except CancelledError:
        run.kill()
        await run.wait()
        raise
