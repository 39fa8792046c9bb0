"""Bytes to a client that may read slowly, without ever making the source wait."""

from collections import deque
from typing import Final

from attrs import define, field
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from difyd.errors import ClientTooSlow

PORTION: Final = 256 * 1024
"""Bytes that a socket with room again is handed at once."""


@implementer(IPushProducer)
@define(eq=False)
class Outflow:
    """
    The body of one answer. Whoever reads slowly costs only this answer.

    What cannot be sent waits here and counts against `limit`; what has been handed to the socket, about a portion, does not.
    """

    _request: Request
    limit: int
    """Bytes that may wait for the client, `PLUGIN_SESSION_BUFFER`."""
    _waiting: deque[bytes] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)
    _full: bool = field(default=False, init=False)
    _closing: bool = field(default=False, init=False)

    def open(self) -> None:
        """From here on we are told when the socket is full."""
        self._request.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Raises ClientTooSlow; what waits already is kept."""
        if self._full:
            if self._size + len(data) > self.limit:
                raise ClientTooSlow(self.limit)
            self.last(data)
        else:
            self._request.write(data)

    def last(self, data: bytes) -> None:
        """As `write`, beyond the limit: for the word that says why this answer ends."""
        if self._full:
            self._waiting.append(data)
            self._size += len(data)
        else:
            self._request.write(data)

    def close(self) -> None:
        """The answer is complete once everything is sent. Not after a disconnect: then there is no channel left."""
        self._closing = True
        if not self._full:
            self._finish()

    def abort(self) -> None:
        """Break the answer off, so that nobody takes it for complete."""
        self._waiting.clear()
        self._request.unregisterProducer()
        self._request.loseConnection()

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        while self._waiting and not self._full:  # a write may fill the socket, which calls pauseProducing
            self._request.write(self._portion())
        if self._closing and not self._full:
            self._finish()

    def stopProducing(self) -> None:
        self._waiting.clear()  # the client has gone: the handler is cancelled, and that closes the session

    def _portion(self) -> bytes:
        """The next of what waits, in whole pieces: one, and more as far as they are small."""
        pieces = [self._waiting.popleft()]
        size = len(pieces[0])
        while self._waiting and size + len(self._waiting[0]) <= PORTION:
            pieces.append(self._waiting.popleft())
            size += len(pieces[-1])
        self._size -= size
        return b"".join(pieces)

    def _finish(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()
