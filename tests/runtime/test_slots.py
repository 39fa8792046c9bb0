"""Places and the queue before them."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.slots import Slots


class SlotsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.slots = Slots(1)
        self.holder = self.slots.slot()
        self.successResultOf(self.holder.take())

    def test_bound(self) -> None:
        """There are no more holders than places; who leaves makes room for the first who waits."""
        second = self.slots.slot()
        waiting = second.take()
        self.assertNoResult(waiting)
        self.holder.leave()
        self.successResultOf(waiting)

    def test_order(self) -> None:
        """The urgent go before the patient; among each other both are served as they came."""
        served: list[str] = []
        claims = [("p1", False), ("u1", True), ("p2", False), ("u2", True)]
        slots = {name: self.slots.slot(urgent=urgent) for name, urgent in claims}
        for name, slot in slots.items():
            slot.take().addCallback(lambda _, name=name: served.append(name))
        self.holder.leave()
        for name in ("u1", "u2", "p1", "p2"):
            slots[name].leave()
        self.assertEqual(served, ["u1", "u2", "p1", "p2"])

    def test_haste(self) -> None:
        """Who becomes urgent while waiting goes before the patient."""
        patient, hurried = self.slots.slot(), self.slots.slot()
        first, second = patient.take(), hurried.take()
        hurried.hasten()
        self.holder.leave()
        self.assertNoResult(first)
        self.successResultOf(second)

    def test_given_up(self) -> None:
        """A claim that is cancelled is not served."""
        given_up, next_one = self.slots.slot(), self.slots.slot()
        first, second = given_up.take(), next_one.take()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.holder.leave()
        self.successResultOf(second)

    def test_leaving_twice(self) -> None:
        """Leaving twice frees one place, leaving a place that was never had frees none."""
        self.slots.slot().leave()
        second, third = self.slots.slot(), self.slots.slot()
        self.assertNoResult(second.take())
        waiting = third.take()
        self.holder.leave()
        self.holder.leave()
        self.assertNoResult(waiting)
