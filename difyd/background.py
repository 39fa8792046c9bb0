"""Work that nobody awaits, and work that must be finished though its caller may go away. Both have an owner here."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")


@define(eq=False)
class Background:
    """Work nobody awaits: held until done, logged if it fails, cancelled or awaited at stop."""

    log = Logger()
    _running: set[Deferred[None]] = field(factory=set, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    def spawn(self, what: str, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Start `work` now; `what` names it in the log should it fail in a way that it did not foresee."""
        self._own(Deferred.fromCoroutine(work).addErrback(self._failed, what))

    def finish(self, what: str, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """
        Start `work` now, to be brought to its end even if nobody waits for it any more.

        The result comes to whoever holds the Deferred; cancelling that gives up the answer, not the work, whose failure is then logged.
        """
        answer: Deferred[T] = Deferred(lambda _: None)  # with a canceller: a late result is dropped without a complaint

        def tell(result: T | Failure) -> None:
            if not answer.called:
                answer.callback(result)
            elif isinstance(result, Failure):
                self._failed(result, what)

        self._own(Deferred.fromCoroutine(work).addBoth(tell))
        return answer

    def cancel(self) -> None:
        """Cancel everything that runs; `idle` tells when it is over."""
        for d in list(self._running):
            d.cancel()

    async def stop(self) -> None:
        """Cancel everything that runs and wait for its end."""
        self.cancel()
        await self.idle()

    def idle(self) -> Deferred[None]:
        """Fires when nothing runs, without cancelling anything."""
        waiter: Deferred[None] = Deferred()
        if self._running:
            self._waiting.append(waiter)
        else:
            waiter.callback(None)
        return waiter

    def _own(self, d: Deferred[None]) -> None:
        self._running.add(d)
        d.addBoth(self._done, d)

    def _done(self, _: object, d: Deferred[None]) -> None:
        self._running.discard(d)
        if not self._running:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)

    def _failed(self, failure: Failure, what: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("{what} failed", failure, what=what)
