"""Lines on their way to a plugin, bounded."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


class Wire(Protocol):
    """As much of a TCP transport as this room uses."""

    def getPeer(self) -> object: ...

    def write(self, data: bytes) -> None: ...

    def loseWriteConnection(self) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def registerProducer(self, producer: object, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...


@implementer(IPushProducer)
@define(eq=False)
class Outbox:
    """
    What waits for a plugin that does not read as fast as it is written to.

    Beside what waits here, at most `limit` bytes and one line, the transport holds 64 KiB and one line.
    """

    _wire: Wire
    _limit: int
    _overflow: Callable[[], None]
    """Called once, when more waits than may: the plugin has stopped reading, and its connection has to go."""
    _waiting: deque[bytes] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)
    _full: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)
    _rooms: set[Deferred[None]] = field(factory=set, init=False)

    def open(self) -> None:
        """From now on the transport tells us when to wait."""
        self._wire.registerProducer(self, True)

    def send(self, line: bytes) -> None:
        """Write, or queue; never waits. After `close` lines are dropped."""
        if self._closed:
            return
        if not self._full:
            self._wire.write(line)
            return
        self._waiting.append(line)
        self._size += len(line)
        if self._size > self._limit and len(self._waiting) > 1:
            self.close()
            self._overflow()

    def room(self) -> Deferred[None]:
        """Fires when what is sent next would go out at once, and when nothing goes out any more. Cancelling forgets the waiter."""
        waiter: Deferred[None] = Deferred(self._rooms.discard)
        if self._closed or not self._full:
            waiter.callback(None)
        else:
            self._rooms.add(waiter)
        return waiter

    def close(self) -> None:
        """Nothing more goes out; what waits here is thrown away. Idempotent."""
        if not self._closed:
            self._closed = True
            self._wire.unregisterProducer()
            self._forget()

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        while self._waiting and not self._full:  # the transport may have enough again after any of them
            line = self._waiting.popleft()
            self._size -= len(line)
            self._wire.write(line)
        if not self._full:
            self._make_room()

    def stopProducing(self) -> None:
        self._closed = True
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._size = 0
        self._make_room()

    def _make_room(self) -> None:
        rooms, self._rooms = self._rooms, set()
        for waiter in rooms:
            waiter.callback(None)
