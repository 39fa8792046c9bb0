"""
One connection of a client: which bytes belong to which request.

twisted.web's channel with other ways in: heads are read in one go (`difyd.web.head`), and what can be said by the head alone is said before the
body is taken in. A refused body that is small is swallowed and the connection is kept. For a large one the answer goes out at once, then the
connection is half closed and what the client still sends is thrown away for a while: if it were closed at once, the client's system would
drop the answer together with the connection (RFC 9112 9.6).
"""

# mypy: allow-untyped-calls

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import (
    HTTPChannel,
    _ChunkedTransferDecoder,  # twisted.web has no public name for its decoders
    _IdentityTransferDecoder,
)

from difyd.web.envelope import Answer
from difyd.web.head import BadHead, Head
from difyd.web.request import Request, respond

if TYPE_CHECKING:
    from difyd.web.site import Site

HEAD_LIMIT: Final = 1024 * 1024
"""Bytes of a request's head; beyond them it is refused with 431 (http-api 1)."""
SWALLOWED: Final = 64 * 1024
"""Bytes of a refused body that are worth taking in to keep the connection."""
LINGER: Final = 10.0
"""Seconds that a client has to notice a refusal and to stop sending."""
LINGER_BYTES: Final = 256 * 1024 * 1024
_END: Final = b"\r\n\r\n"
_NO_HEAD: Final = re.compile(rb"(?<!\r)\n|\A[^!#$%&'*+\-.^_`|~0-9A-Za-z\r]")
"""No head will come of it: a line ends with LF alone, or the first byte is one of TLS or of binary data."""


class Channel(HTTPChannel):
    """What twisted.web calls a channel; its transport, its consumer and the owner of its requests."""

    site: "Site"
    transport: Any  # a connection, or a memory transport in tests
    totalHeadersSize = HEAD_LIMIT
    _head: bytearray  # what has come of a head that is not complete yet
    _unread = b""  # what has come and was not looked at yet
    _reading = False
    _lingering = -1  # bytes thrown away since the refusal, when there was one
    _patience: IDelayedCall | None = None
    _peer: Any = None
    _host: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._head = bytearray()

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.disconnected(self)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        super().connectionLost(reason)

    def getPeer(self) -> Any:
        """Asked by every request, and a system call each time: kept."""
        if self._peer is None:
            self._peer = super().getPeer()
        return self._peer

    def getHost(self) -> Any:
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def idle(self) -> bool:
        """Is there nothing between two requests that somebody waits for?"""
        return not self.requests and not self._head and self._lingering < 0

    def loseConnection(self) -> None:
        """Also when it is closing already: a drain closes what an answer has closed just before."""
        if not self.transport.disconnecting:
            super().loseConnection()

    # bytes in

    def dataReceived(self, data: bytes) -> None:
        self.setLineMode(data)

    def setLineMode(self, extra: bytes = b"") -> None:
        """
        Read on with `extra`; called by twisted.web when a request is done and the next one may be read.

        A loop and no recursion: a client may send hundreds of requests in one segment, and each may be answered while it is read.
        """
        self._unread = self._unread + extra if self._unread else extra
        if self._reading:
            return
        self._reading = True
        try:
            while self._unread:
                data, self._unread = self._unread, b""
                if self._lingering >= 0:
                    self._discard(data)
                elif self._handlingRequest or self._transferDecoder is not None:
                    self.rawDataReceived(data)
                else:
                    self._read_head(data)
        finally:
            self._reading = False

    def setRawMode(self) -> None:
        """Which mode it is follows from what is known of the request."""

    def _read_head(self, data: bytes) -> None:
        held: bytes | bytearray = self._head
        seen = max(0, len(held) - 3)  # before that there is no end
        if held:
            held += data
        else:
            held = data  # nearly always a whole head, which need not be copied together
        blank = 0
        while held.startswith(b"\r\n", blank):  # some clients end their bodies with one more line end (RFC 9112 2.2)
            blank += 2
        if blank:
            held, seen = held[blank:], 0
        end = held.find(_END, seen)
        if max(end, 0) > HEAD_LIMIT or (end < 0 and len(held) > HEAD_LIMIT):
            self._break_off(431)
        elif end < 0 and _NO_HEAD.search(held, seen) is not None:
            self._break_off(400)
        elif end < 0:
            self._head = held if isinstance(held, bytearray) else bytearray(held)
        else:
            self._head = bytearray()
            try:
                head = self.site.heads.read(bytes(held[:end]))
            except BadHead as why:
                self._break_off(why.status)
            else:
                self._begin(head, bytes(held[end + 4 :]))

    def _begin(self, head: Head, rest: bytes) -> None:
        """A request has begun; `rest` came behind its head."""
        request = Request(self, head)
        self.requests.append(request)
        self.persistent = request.persistent and not self.site.closing
        if not self.persistent:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        request.admit()
        length = head.length
        if length == 0:
            self._completed_by(rest)
            return
        asks = b"Expect" in head.fields and head.version == b"HTTP/1.1" and _expects_leave(head)
        if request.refusal is not None and (asks or length is None or length > SWALLOWED):
            self.refuse(request, request.refusal)
            return
        if length is not None and len(rest) >= length:  # so it is with nearly all calls, and needs no decoder
            request.handleContentChunk(rest[:length])
            self._completed_by(rest[length:])
            return
        if asks and not rest:
            self._send100Continue()
        if length is None:
            self._transferDecoder = _ChunkedTransferDecoder(request.handleContentChunk, self._finishRequestBody)
        else:
            self._transferDecoder = _IdentityTransferDecoder(length, request.handleContentChunk, self._finishRequestBody)
        if rest:
            self.rawDataReceived(rest)

    def _completed_by(self, next_one: bytes) -> None:
        """The request is complete with its head; what came behind it belongs to the next one."""
        if next_one:
            self._dataBuffer.append(next_one)
        self.allContentReceived()

    def allContentReceived(self) -> None:
        if self._lingering >= 0:
            return  # the last piece of a body that was refused on the way
        self._transferDecoder = None
        self._handlingRequest = True
        cast(Request, self.requests[-1]).complete()

    def pause_reading(self) -> None:
        """A body comes faster than it can be stored."""
        self._networkProducer.pauseProducing()

    def resume_reading(self) -> None:
        """Also when the body is complete: a connection that is not read from does not tell that its client has gone."""
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()

    # refusals

    def refuse(self, request: Request, answer: Answer) -> None:
        """Answer `request` although its body has not been taken in, and close."""
        self._lingering = 0
        self.persistent = False
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        respond(request, answer)

    def requestDone(self, request: Request) -> None:
        if self.site.closing:
            self.persistent = False
        if self._lingering < 0:
            super().requestDone(request)
        else:
            del self.requests[0]
            self._linger()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._break_off(400)

    def _break_off(self, status: int) -> None:
        """The bytes of the client make no sense, so that nothing after them does."""
        self._lingering, self._head = 0, bytearray()
        self.transport.write(b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, HTTPStatus(status).phrase.encode()))
        self._linger()

    def _linger(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()
        self._patience = self.site.reactor.callLater(LINGER, self._give_up)

    def _give_up(self) -> None:
        self._patience = None
        self.transport.abortConnection()

    def _discard(self, data: bytes) -> None:
        self._lingering += len(data)
        if self._lingering > LINGER_BYTES:
            self.transport.abortConnection()


def _expects_leave(head: Head) -> bool:
    """Does the client wait to be told that it may send the body?"""
    return b"100-continue" in (value.lower() for value in head.fields[b"Expect"])
