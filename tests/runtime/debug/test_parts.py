"""The alarm of a connection, what waits for its plugin, and the bounds on those who have not registered."""

from attrs import define, field
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.runtime.debug.deadline import Deadline
from difyd.runtime.debug.messages import BUSY, Refusal
from difyd.runtime.debug.outbox import Outbox
from difyd.runtime.debug.visitors import Visitors


class DeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.rang = Clock(), 0
        self.deadline = Deadline(self.clock, self.ring)

    def ring(self) -> None:
        self.rang += 1

    def test_within(self) -> None:
        """It comes whatever happens, once."""
        self.deadline.within(10)
        self.clock.advance(9)
        self.deadline.renew()
        self.clock.advance(1)
        self.assertEqual(self.rang, 1)
        self.clock.advance(100)
        self.assertEqual((self.rang, self.clock.getDelayedCalls()), (1, []))

    def test_silence(self) -> None:
        """It is put off by each sign of life."""
        self.deadline.unless_silent(60)
        for _ in range(10):
            self.clock.advance(59)
            self.deadline.renew()
        self.assertEqual(self.rang, 0)
        self.clock.advance(60)
        self.assertEqual(self.rang, 1)

    def test_at_most(self) -> None:
        """But not beyond the end of the whole, which can be lifted."""
        self.deadline.at_most(100)
        self.deadline.unless_silent(60)
        self.clock.advance(50)
        self.deadline.renew()
        self.clock.advance(50)
        self.assertEqual(self.rang, 1)
        self.deadline.at_most(float("inf"))
        self.deadline.unless_silent(60)
        self.clock.advance(59)
        self.assertEqual(self.rang, 1)

    def test_never(self) -> None:
        """What is given later replaces what was given before; so does nothing."""
        self.deadline.within(10)
        self.deadline.unless_silent(20)
        self.deadline.never()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire, self.overflows = StringTransport(), 0
        self.outbox = Outbox(self.wire, 10, self.overflow)  # type: ignore[arg-type]
        self.outbox.open()

    def overflow(self) -> None:
        self.overflows += 1

    def test_interface(self) -> None:
        """The transport gets what it expects."""
        self.assertTrue(verifyObject(IPushProducer, self.outbox))
        self.assertEqual((self.wire.producer, self.wire.streaming), (self.outbox, True))

    def test_order(self) -> None:
        """Lines go out at once, or wait for the transport, in their order."""
        self.outbox.send(b"1")
        self.outbox.pauseProducing()
        self.outbox.send(b"2")
        self.outbox.send(b"3")
        self.assertEqual(self.wire.value(), b"1")
        self.outbox.resumeProducing()
        self.outbox.send(b"4")
        self.assertEqual(self.wire.value(), b"1234")

    def test_full_again(self) -> None:
        """What waits goes out line by line, as far as the transport takes it."""

        class Narrow(StringTransport):
            def write(self, data: bytes) -> None:
                super().write(data)
                self.producer.pauseProducing()

        wire = Narrow()
        outbox = Outbox(wire, 10, self.overflow)  # type: ignore[arg-type]
        outbox.open()
        for line in (b"1", b"2", b"3"):
            outbox.send(line)
        room = outbox.room()
        outbox.resumeProducing()
        self.assertEqual(wire.value(), b"12")
        self.assertNoResult(room)

    def test_room(self) -> None:
        """There is room while the transport takes what it is given, and nobody is left waiting by a connection that closes."""
        self.successResultOf(self.outbox.room())
        self.outbox.pauseProducing()
        waiting, cancelled = self.outbox.room(), self.outbox.room()
        cancelled.cancel()
        self.failureResultOf(cancelled)
        self.assertNoResult(waiting)
        self.outbox.resumeProducing()
        self.successResultOf(waiting)
        self.outbox.pauseProducing()
        waiting = self.outbox.room()
        self.outbox.close()
        self.successResultOf(waiting)
        self.successResultOf(self.outbox.room())

    def test_overflow(self) -> None:
        """A plugin that has stopped reading is given up, once; one line may be as long as it likes."""
        self.outbox.pauseProducing()
        self.outbox.send(b"x" * 100)
        self.assertEqual(self.overflows, 0)
        self.outbox.send(b"y")
        self.outbox.send(b"z")
        self.assertEqual((self.overflows, self.wire.value(), self.wire.producer), (1, b"", None))

    def test_wire_gone(self) -> None:
        """After the end of the connection lines are dropped."""
        self.outbox.stopProducing()
        self.outbox.send(b"late")
        self.outbox.close()
        self.assertEqual(self.wire.value(), b"")


@define(eq=False)
class Guest:
    turned_out: list[str]
    name: str = field(default="guest")

    def turn_out(self) -> None:
        self.turned_out.append(self.name)


class VisitorsTests(SynchronousTestCase):
    def test_oldest_goes(self) -> None:
        """When there are too many, the one that came first is turned out."""
        out: list[str] = []
        visitors = Visitors(2, 100)
        guests = [Guest(out, name) for name in ("a", "b", "c")]
        for guest in guests:
            visitors.enter(guest)
        self.assertEqual((out, len(visitors)), (["a"], 2))
        visitors.leave(guests[0])
        visitors.leave(guests[1])
        self.assertEqual(len(visitors), 1)

    def test_memory(self) -> None:
        """All of them together hold so much; what one lets go of is there for others."""
        visitors = Visitors(10, 100)
        a, b = Guest([]), Guest([])
        for guest in (a, b):
            visitors.enter(guest)
        visitors.hold(a, 60)
        visitors.hold(a, 50)
        with self.assertRaises(Refusal) as caught:
            visitors.hold(b, 51)
        self.assertEqual(str(caught.exception), BUSY)
        visitors.leave(b)
        visitors.hold(a, 100)
        visitors.leave(a)
        self.assertEqual(len(visitors), 0)
