"""A bounded number of places for work that is costly to do all at once, and a queue before them in which some go first."""

from collections import deque

from attrs import define, field
from twisted.internet.defer import Deferred


@define(eq=False)
class Slots:
    """
    At most `limit` holders at a time.

    Those who wait are served in the order of their coming, the urgent ones before all others.
    """

    limit: int
    _held: int = field(default=0, init=False)
    _urgent: deque["Slot"] = field(factory=deque, init=False)
    _patient: deque["Slot"] = field(factory=deque, init=False)

    def slot(self, *, urgent: bool = False) -> "Slot":
        """A claim to a place, to be used once: `await slot.take()`, and `slot.leave()` in the end."""
        return Slot(self, urgent)

    @property
    def waiting(self) -> int:
        return len(self._urgent) + len(self._patient)

    def _enter(self, slot: "Slot") -> bool:
        if self._held < self.limit:
            self._held += 1
            return True
        (self._urgent if slot.urgent else self._patient).append(slot)
        return False

    def _leave(self) -> None:
        self._held -= 1
        for queue in (self._urgent, self._patient):
            if queue:
                self._held += 1
                queue.popleft()._served()
                return

    def _forget(self, slot: "Slot") -> None:
        for queue in (self._urgent, self._patient):
            if slot in queue:
                queue.remove(slot)

    def _hasten(self, slot: "Slot") -> None:
        if slot in self._patient:
            self._patient.remove(slot)
            self._urgent.append(slot)


@define(eq=False)
class Slot:
    """One claim; see `Slots.slot`."""

    _slots: Slots
    urgent: bool
    _waiter: Deferred[None] | None = field(default=None, init=False)
    _holding: bool = field(default=False, init=False)

    def take(self) -> Deferred[None]:
        """Fires when the place is ours. Cancelling gives up the claim."""
        waiter: Deferred[None] = Deferred(self._give_up)
        if self._slots._enter(self):
            self._holding = True
            waiter.callback(None)
        else:
            self._waiter = waiter
        return waiter

    def hasten(self) -> None:
        """Somebody waits for this one: go before those for whom nobody waits."""
        self.urgent = True
        self._slots._hasten(self)

    def leave(self) -> None:
        """Idempotent, and harmless for a claim that was never served."""
        if self._holding:
            self._holding = False
            self._slots._leave()

    def _served(self) -> None:
        waiter, self._waiter = self._waiter, None
        self._holding = True
        assert waiter is not None
        waiter.callback(None)

    def _give_up(self, _: Deferred[None]) -> None:
        self._waiter = None
        self._slots._forget(self)
