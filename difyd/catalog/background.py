"""Work that nobody awaits, and that still has an owner."""

from collections.abc import Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure


@define(eq=False)
class Background:
    """Work nobody awaits: held until done, logged if it fails, cancelled and awaited at stop."""

    log = Logger()
    _running: set[Deferred[None]] = field(factory=set, init=False)

    def spawn(self, what: str, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Start `work` now; `what` names it in the log should it fail in a way that it did not foresee."""
        d = Deferred.fromCoroutine(work)
        self._running.add(d)
        d.addErrback(self._failed, what).addBoth(lambda _: self._running.discard(d))

    def _failed(self, failure: Failure, what: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("{what} failed", failure, what=what)

    async def stop(self) -> None:
        """Cancel what runs and wait for it. What has to be finished at any price must not be given to `spawn`."""
        for d in list(self._running):
            d.cancel()
        await self.idle()

    async def idle(self) -> None:
        """Wait until nothing runs, without cancelling anything."""
        while self._running:
            waiting: list[Deferred[None]] = []
            for d in list(self._running):
                # a Deferred of its own for this waiter: the work's own one stays with its owner
                done: Deferred[None] = Deferred()
                d.addBoth(lambda _, done=done: None if done.called else done.callback(None))
                waiting.append(done)
            await gatherResults(waiting)
