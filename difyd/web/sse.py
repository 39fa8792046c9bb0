"""Server-sent events to one client (http-api 5)."""

from attrs import define, field
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from difyd.errors import ClientTooSlow
from difyd.invoke.answers import IChunkSink
from difyd.web.envelope import failure
from difyd.web.site import begin_events


@implementer(IChunkSink, IPushProducer)
@define(eq=False)
class EventStream:
    """
    The answer of one call. Whoever reads slowly costs only this call.

    What cannot be sent waits here, and counts against `limit`; what has been handed to the socket, a few hundred kilobytes at most, does not.
    """

    _request: Request
    limit: int
    """Bytes that may wait for the client."""
    _waiting: list[bytes] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)
    _full: bool = field(default=False, init=False)
    _closing: bool = field(default=False, init=False)

    def open(self) -> None:
        """From here on the answer is a stream; its head goes out with the first event."""
        begin_events(self._request)
        self._request.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Raises ClientTooSlow."""
        if not self._full:
            self._request.write(data)
            return
        self._size += len(data)
        if self._size > self.limit:
            raise ClientTooSlow(self.limit)
        self._waiting.append(data)

    def close(self, why: Exception | None = None) -> None:
        """End the stream, after an event that says why when the call has failed. Not after a disconnect: then there is no channel left."""
        if why is not None:
            event = b"data: " + failure(why) + b"\n\n"
            if self._full:
                self._waiting.append(event)
            else:
                self._request.write(event)
        self._closing = True
        if not self._full:
            self._finish()

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        data, self._waiting, self._size = b"".join(self._waiting), [], 0
        if data:
            self._request.write(data)  # which may fill the socket again, and call pauseProducing
        if self._closing and not self._full:
            self._finish()

    def stopProducing(self) -> None:
        self._waiting.clear()  # the client has gone: the handler is cancelled, and that closes the session

    def _finish(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()
