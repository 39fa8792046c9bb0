"""Work that nobody awaits, and that still has an owner."""

from collections.abc import Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


@define(eq=False)
class Background:
    """Held until done, logged if it fails, cancelled and awaited at stop."""

    log = Logger()
    _running: set[Deferred[None]] = field(factory=set, init=False)
    _leaving: list[Deferred[None]] = field(factory=list, init=False)

    def spawn(self, what: str, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Start `work` now; `what` names it in the log should it fail in a way that it did not foresee."""
        d = Deferred.fromCoroutine(work)
        self._running.add(d)
        d.addErrback(self._failed, what).addBoth(self._done, d)

    async def stop(self) -> None:
        """Cancel what runs and wait for it."""
        for d in list(self._running):
            d.cancel()
        if self._running:
            over: Deferred[None] = Deferred()
            self._leaving.append(over)
            await over

    def _failed(self, failure: Failure, what: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("{what} failed", failure, what=what)

    def _done(self, _: None, d: Deferred[None]) -> None:
        self._running.discard(d)
        if not self._running:
            leaving, self._leaving = self._leaving, []
            for over in leaving:
                over.callback(None)
