"""Waiting for something that several may wait for."""

from attrs import define, field
from twisted.internet.defer import Deferred


@define(eq=False)
class Waiters:
    """Each has a Deferred of its own; cancelling it forgets that one waiter."""

    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    def wait(self, already: bool) -> Deferred[None]:
        """Fires at the next `fire`, or at once when what is waited for is `already` so."""
        waiter: Deferred[None] = Deferred(self._forget)
        if already:
            waiter.callback(None)
        else:
            self._waiting.append(waiter)
        return waiter

    def fire(self) -> None:
        """It is so now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
