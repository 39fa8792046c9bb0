"""Bodies wait for their transport and their reader, and silence has an end."""

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from difyd.callback.body import PIECE, Patience, RequestBody, ResponseBody
from difyd.callback.errors import Interrupted
from tests.callback.fakes import Channel


@implementer(IPushProducer)
@define(eq=False)
class Source:
    """The transport of a response."""

    calls: list[str] = field(factory=list)

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@define(eq=False)
class Consumer:
    """Holds its producer up once it has `room` pieces."""

    producer: Any = None
    room: int = 1 << 30
    data: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> None:
        self.data.append(data)
        if len(self.data) >= self.room:
            self.producer.pauseProducing()


class RequestBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[str] = []

    def body(self, size: int, room: int = 1 << 30) -> tuple[RequestBody, Consumer]:
        body = RequestBody(bytes(size), began=lambda: self.told.append("began"), given=lambda: self.told.append("given"))
        return body, Consumer(body, room)

    def test_small(self) -> None:
        """A small body is given at once."""
        body, consumer = self.body(10)
        verifyObject(IBodyProducer, body)
        self.assertEqual(body.length, 10)
        self.successResultOf(body.startProducing(consumer))
        self.assertEqual((consumer.data, self.told), ([bytes(10)], ["began", "given"]))

    def test_held_up(self) -> None:
        """A big one is given piece by piece, each when the transport has room; each is told."""
        body, consumer = self.body(2 * PIECE + 1, room=1)
        done = body.startProducing(consumer)
        self.assertEqual((len(consumer.data), self.told), (1, ["began"]))
        body.resumeProducing()
        self.assertEqual(len(consumer.data), 2)
        self.assertNoResult(done)
        body.resumeProducing()
        self.successResultOf(done)
        self.assertEqual((len(b"".join(consumer.data)), self.told), (2 * PIECE + 1, ["began"] * 3 + ["given"]))
        body.resumeProducing()

    def test_given_up(self) -> None:
        """Nothing more is given of a body whose request was cancelled."""
        body, consumer = self.body(3 * PIECE, room=1)
        done = body.startProducing(consumer)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        body.resumeProducing()
        self.assertEqual(len(consumer.data), 1)


class PatienceTests(SynchronousTestCase):
    def test_patience(self) -> None:
        """It runs out once, for what was waited for last, and only when nothing came for that long."""
        clock, told = Clock(), list[str]()
        patience = Patience(clock, told.append)
        patience.again()
        patience.wait(5, "a")
        clock.advance(4)
        patience.again()
        clock.advance(4)
        patience.wait(1.5, "b")
        clock.advance(1.4)
        self.assertEqual(told, [])
        clock.advance(0.2)
        patience.again()
        self.assertEqual(told, ["b within 1.5 s"])
        patience.wait(1, "c")
        patience.stop()
        self.assertEqual(clock.getDelayedCalls(), [])


class ResponseBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.source, self.channel = Clock(), Source(), Channel()
        self.taken: list[bytes] = []
        self.body = ResponseBody(self.clock, 10, self.taken.append, self.channel.room)
        self.body.makeConnection(self.source)

    def lost(self, reason: Exception) -> None:
        self.body.connectionLost(Failure(reason))

    def test_whole(self) -> None:
        """The data in its order, then the end; the connection goes on to serve others."""
        self.body.dataReceived(b"a")
        self.body.dataReceived(b"b")
        self.lost(ResponseDone())
        self.successResultOf(self.body.finished)
        self.assertEqual((self.taken, self.source.calls, self.clock.getDelayedCalls()), ([b"a", b"b"], [], []))

    def test_length_unknown(self) -> None:
        """Where the end of the connection is the end of the body, it is no failure."""
        self.lost(PotentialDataLoss())
        self.successResultOf(self.body.finished)

    def test_cut(self) -> None:
        """A lost connection is one."""
        self.lost(ConnectionLost())
        self.failureResultOf(self.body.finished, Interrupted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """Only silence counts, not the whole time; what comes afterwards is not looked at."""
        for _ in range(5):
            self.clock.advance(9)
            self.body.dataReceived(b"a")
        self.clock.advance(10)
        why = self.failureResultOf(self.body.finished, Interrupted)
        self.assertEqual(str(why.value), "Dify did not send more of its answer within 10 s")
        self.body.dataReceived(b"late")
        self.lost(ConnectionLost())
        self.assertEqual((len(self.taken), self.source.calls), (5, ["stop"]))

    def test_no_room(self) -> None:
        """Without room the source is paused until there is; it may be silent for as long as nobody listens."""
        self.channel.full = True
        self.body.dataReceived(b"a")
        self.body.dataReceived(b"already read")
        self.clock.advance(100)
        self.assertEqual((self.source.calls, len(self.channel.waiting)), (["pause"], 1))
        self.channel.drain()
        self.assertEqual(self.source.calls, ["pause", "resume"])
        self.clock.advance(10)
        self.failureResultOf(self.body.finished, Interrupted)

    def test_end_without_room(self) -> None:
        """The end of a body does not wait for room, and the waiter is forgotten."""
        self.channel.full = True
        self.body.dataReceived(b"a")
        self.lost(ResponseDone())
        self.successResultOf(self.body.finished)
        self.assertEqual(self.channel.waiting, [])

    def test_cancelled(self) -> None:
        """Cancelling closes the connection and forgets the waiter for room."""
        self.channel.full = True
        self.body.dataReceived(b"a")
        self.body.finished.cancel()
        self.failureResultOf(self.body.finished, CancelledError)
        self.lost(ConnectionLost())
        self.assertEqual((self.source.calls, self.channel.waiting, self.clock.getDelayedCalls()), (["pause", "stop"], [], []))

    def test_reader_fails(self) -> None:
        """What the reader raises is the end of the body, also when it is a defect."""

        def take(_: bytes) -> None:
            raise ZeroDivisionError

        body = ResponseBody(self.clock, 10, take)
        body.makeConnection(self.source)
        body.dataReceived(b"a")
        self.failureResultOf(body.finished, ZeroDivisionError)
        self.assertEqual(self.source.calls, ["stop"])

    def test_cancelled_by_the_reader(self) -> None:
        """A reader whose write ends the session cancels the body that feeds it."""
        body: list[ResponseBody] = []

        def room() -> Deferred[None]:
            self.fail("asked for room after the end")

        body.append(ResponseBody(self.clock, 10, lambda _: body[0].finished.cancel(), room))
        body[0].makeConnection(self.source)
        body[0].dataReceived(b"a")
        self.failureResultOf(body[0].finished, CancelledError)
