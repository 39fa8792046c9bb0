"""
Bodies of requests and answers, on their way through a connection that may be slow.

Both are pushed: the transport holds up our sending, and we hold up its reading while nobody has room for more. Silence is measured, never the
whole (backwards-invocation 17.3), and time in which we did not read does not count.
"""

from collections.abc import Callable
from typing import Final

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from difyd.callback.errors import InnerApiError, Interrupted

PIECE: Final = 65536
"""Bytes of a request that are handed to the transport at once."""


@define(eq=False)
class Patience:
    """Calls `give_up` with what was waited for, once it was waited for too long."""

    _clock: IReactorTime
    _give_up: Callable[[str], None]
    _alarm: IDelayedCall | None = field(default=None, init=False)
    _seconds: float = field(default=0, init=False)

    def wait(self, seconds: float, what: str) -> None:
        """Begin to wait for something else."""
        self.stop()
        self._seconds = seconds
        self._alarm = self._clock.callLater(seconds, self._give_up, f"{what} within {seconds:g} s")

    def again(self) -> None:
        """Something came; go on waiting for the same."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.reset(self._seconds)

    def stop(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()


@implementer(IBodyProducer)
@define(eq=False)
class RequestBody:
    """A body that is there already, given piece by piece to a transport that says when it has room."""

    _data: bytes
    _began: Callable[[], None]
    """Called for every piece that is about to be given."""
    _given: Callable[[], None]
    """Called when the transport has the last one."""
    repeatable: bool = False
    """May it be given to another connection when this one was lost before a word of an answer?"""
    length: int = field(init=False)
    _at: int = field(default=0, init=False)
    _consumer: IConsumer | None = field(default=None, init=False)
    _paused: bool = field(default=False, init=False)
    _done: Deferred[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.length = len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """From its beginning, also when it was given to another connection before."""
        self._consumer, self._at, self._paused = consumer, 0, False
        self._give()
        if self._consumer is None:
            return succeed(None)
        self._done = Deferred(lambda _: self.stopProducing())
        return self._done

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._give()
        if self._consumer is None and self._done is not None:
            done, self._done = self._done, None
            done.callback(None)

    def stopProducing(self) -> None:
        self._consumer, self._done = None, None

    def _give(self) -> None:
        while self._consumer is not None and not self._paused:
            self._began()
            self._consumer.write(self._data[self._at : self._at + PIECE])
            self._at += PIECE
            if self._at >= self.length:
                self._consumer = None
                self._given()


class ResponseBody(Protocol):
    """
    The body of one answer, handed to `take` as it comes.

    `finished` fires at the end of the body. It fails with Interrupted when the body is cut off or silent for too long, with the InnerApiError
    that its decompression ends with, and with whatever `take` raises; then the connection is closed. Cancelling it closes the connection, too.
    After data for which `room` has no place, the transport is paused until there is.
    """

    def __init__(
        self, clock: IReactorTime, silence: float, take: Callable[[bytes], None], room: Callable[[], Deferred[None]] | None = None
    ) -> None:
        self.finished: Deferred[None] = Deferred(lambda _: self._close())
        self._patience = Patience(clock, lambda what: self._end(Interrupted(what)))
        self._silence = silence
        self._take = take
        self._room = room
        self._held: Deferred[None] | None = None
        self._over = False

    def connectionMade(self) -> None:
        self._source = IPushProducer(self.transport)
        self._listen()

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self._patience.again()
        try:
            self._take(data)
        except Exception as why:
            self._end(why)
            return
        if self._room is not None and self._held is None and not self._over:
            room = self._room()
            if not room.called:
                self._hold(room)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._over:
            return
        if reason.check(ResponseDone, PotentialDataLoss):  # the latter: no length was announced, the end of the connection is the end
            self._close(connected=False)
            self.finished.callback(None)
        elif isinstance(reason.value, InnerApiError):
            self._end(reason.value)
        else:
            self._end(Interrupted("the connection to Dify was lost before the end of its answer"))

    def _listen(self) -> None:
        self._patience.wait(self._silence, "Dify did not send more of its answer")

    def _hold(self, room: Deferred[None]) -> None:
        self._held = room
        self._patience.stop()
        self._source.pauseProducing()
        room.addCallbacks(self._go_on, lambda why: why.trap(CancelledError))

    def _go_on(self, _: None) -> None:
        self._held = None
        self._listen()
        self._source.resumeProducing()

    def _end(self, why: Exception) -> None:
        self._close()
        self.finished.errback(why)

    def _close(self, connected: bool = True) -> None:
        """Nothing more is taken. A connection in the middle of an answer is of no further use."""
        self._over = True
        self._patience.stop()
        if self._held is not None:
            held, self._held = self._held, None
            held.cancel()
        if connected:
            self._source.stopProducing()
