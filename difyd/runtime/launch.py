"""One attempt to bring a plugin up, and everybody who waits for it."""

from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import LaunchFailed
from difyd.runtime.interfaces import IProgress
from difyd.runtime.local.runtime import LocalRuntime
from difyd.runtime.slots import Slot


@implementer(IProgress)
@define(eq=False)
class Launch:
    """
    Shared by all who want the plugin: installs, which hear how far it is, and calls that are held.

    It goes on as long as somebody waits, or for its own sake when the plugin is installed already (`kept`).
    """

    identifier: PluginIdentifier
    slot: Slot
    """Its claim to a place among the builds."""
    kept: bool = field(default=False, init=False)
    urgent: bool = field(default=False, init=False)
    latest: str = field(default="", init=False)
    """How far it is, as it was last said."""
    over: bool = field(default=False, init=False)
    """Nobody can join it any more: it has an outcome, or it was given up."""
    _work: Deferred[LocalRuntime] | None = field(default=None, init=False)
    _waiters: list[Deferred[LocalRuntime]] = field(factory=list, init=False)
    _leaving: list[Deferred[None]] = field(factory=list, init=False)
    _listeners: list[IProgress] = field(factory=list, init=False)
    _hasten: list[Callable[[], None]] = field(factory=list, init=False)
    given_up: str = field(default="", init=False)
    """Why it was ended before its outcome, "" when it was not."""
    _outcome: LocalRuntime | Failure | None = field(default=None, init=False)
    _reminder: IDelayedCall | None = field(default=None, init=False)

    def begin(self, work: Coroutine[Deferred[Any], Any, LocalRuntime]) -> None:
        """`work` raises LaunchFailed, and when it is cancelled leaves nothing behind."""
        self._work = Deferred.fromCoroutine(work)
        self._work.addBoth(self._done)

    def join(self, progress: IProgress | None = None) -> Deferred[LocalRuntime]:
        """Wait for the runtime, or for LaunchFailed. Cancelling leaves the others waiting; the last one to leave ends the launch."""
        waiter: Deferred[LocalRuntime] = Deferred(self._left)
        if self._outcome is not None:
            waiter.callback(self._outcome)
            return waiter
        self._waiters.append(waiter)
        if progress is not None:
            self._listeners.append(progress)
            waiter.addBoth(self._heard_enough, progress)
        return waiter

    def when_over(self) -> Deferred[None]:
        """Fires when the work has come to its end, whatever it was; not yet when it is only given up."""
        waiter: Deferred[None] = Deferred(self._leaving.remove)
        self._leaving.append(waiter)
        return waiter

    def hasten(self) -> None:
        """Somebody waits: go before launches for whom nobody does, in the queue that it is in and in those to come."""
        self.urgent = True
        self.slot.hasten()
        for hasten in self._hasten:
            hasten()

    def on_haste(self, hasten: Callable[[], None]) -> None:
        """The launch has come to another queue; `hasten` lets it go before others there."""
        self._hasten.append(hasten)
        if self.urgent:
            hasten()

    def remind(self, clock: IReactorTime, seconds: float, text: str) -> None:
        """Say `text` to all who listen, every so many seconds until it is over."""

        def again() -> None:
            self.info(text)
            self._reminder = clock.callLater(seconds, again)

        self._reminder = clock.callLater(seconds, again)

    def give_up(self, why: str) -> None:
        """End it; who waits hears LaunchFailed with this text."""
        if not self.over:
            self.over, self.given_up = True, why
            assert self._work is not None
            self._work.cancel()

    def info(self, text: str) -> None:
        self.latest = text
        for listener in tuple(self._listeners):
            listener.info(text)

    def _left(self, waiter: Deferred[LocalRuntime]) -> None:
        self._waiters.remove(waiter)
        if not self._waiters and not self.kept:
            self.give_up("nobody waited for it any more")

    def _heard_enough(self, outcome: LocalRuntime | Failure, progress: IProgress) -> LocalRuntime | Failure:
        self._listeners.remove(progress)
        return outcome

    def _done(self, outcome: LocalRuntime | Failure) -> None:
        self.over = True
        if isinstance(outcome, Failure) and outcome.check(CancelledError):
            outcome = Failure(LaunchFailed(f"failed to launch plugin: {self.given_up or 'it was cancelled'}"))
        self._outcome = outcome
        if self._reminder is not None and self._reminder.active():
            self._reminder.cancel()
        leaving, self._leaving = self._leaving, []
        waiters, self._waiters = self._waiters, []
        for gone in leaving:
            gone.callback(None)
        for waiter in waiters:
            waiter.callback(outcome)
