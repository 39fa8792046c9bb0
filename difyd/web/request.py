"""
One request, from its head to the last byte of its answer.

twisted.web's request without form parsing, and with answers in few pieces: the head goes out in one write with the first bytes of the body,
and every later write is one chunk in one write.
"""

# mypy: allow-untyped-calls

import re
from functools import cached_property
from io import BytesIO
from typing import IO, TYPE_CHECKING, Final

from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NO_BODY_CODES, parse_qs

from difyd.web.body import Intake, SpoolFile
from difyd.web.envelope import JSON, Answer, answer
from difyd.web.head import Fields, Head
from difyd.wire.text import Pieces

if TYPE_CHECKING:
    from difyd.web.channel import Channel
    from difyd.web.routes import BodyLimit, Route
    from difyd.web.site import Site

_CLOSE: Final = re.compile(rb"(?i)(?:^|,)[ \t]*close[ \t]*(?:,|$)")
USUAL: Final = [b"HTTP/1.1 200 OK\r\n"]
EVENTS: Final = b"text/event-stream"
EVENTS_ALONE: Final = [(b"Content-Type", [EVENTS])]
"""The headers of nearly every call's answer."""
JOINED: Final = 32 * 1024
"""A chunk up to this size is copied together with its frame; a larger one is handed to the transport as it is."""


class Request(server.Request):
    """`admit` is called when the head is there, `complete` when the body is; the rest is twisted.web's interface."""

    defaultContentType = None
    channel: "Channel"
    site: "Site"
    refusal: Answer | None = None
    """Why the request is not served, known by its head."""
    route: "Route | None" = None
    parameters: dict[str, str]
    """Of the path, by name; there when `route` is."""
    began = 0.0
    trace = ""
    identifier = ""
    """Of the plugin that was called, and `error` why the call failed: for the log."""
    error = ""
    _intake: Intake | None = None
    _limit: "BodyLimit"

    def __init__(self, channel: "Channel", head: Head) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self.site = channel.site
        self.requestHeaders = Fields(head.fields)
        self.method, self.uri, self.clientproto = head.method, head.target, head.version
        self.path, _, self._query = head.target.partition(b"?")
        self._length = head.length

    @cached_property
    def args(self) -> dict[bytes, list[bytes]]:  # type: ignore[override]  # an attribute in twisted.web, which takes it apart at once
        """The query. Taken apart for those who want it: a head may hold half a million parameters of somebody without a key."""
        return parse_qs(self._query, True) if self._query else {}

    @property
    def persistent(self) -> bool:
        """May the connection be kept after the answer? Connections of HTTP/1.0 never are, as in twisted.web."""
        if self.clientproto != b"HTTP/1.1":
            return False
        values = self.requestHeaders.getRawHeaders(b"Connection")
        return not values or _CLOSE.search(b",".join(values)) is None

    # in

    def admit(self) -> None:
        """Ask the site whether the request is welcome, and with how much body."""
        verdict = self.site.admit(self)
        if isinstance(verdict, Answer):
            self.refusal = verdict
        elif self._length is not None and self._length > verdict.size:
            self.refusal = verdict.refusal
        elif self._length != 0:
            self._limit = verdict
            self._intake = Intake(self._length, verdict.size, self._spool)

    def handleContentChunk(self, data: bytes) -> None:
        if self._intake is not None and not self._intake.take(data):
            self._intake = None
            self.channel.refuse(self, self._limit.refusal)

    def complete(self) -> None:
        """The body has come, or there is none."""
        if self.refusal is not None:
            respond(self, self.refusal)
            return
        content = BytesIO() if self._intake is None else self._intake.done()
        if isinstance(content, BytesIO):
            self._serve(content)
        else:
            content.addCallbacks(self._serve, self._refuse)

    def _serve(self, content: IO[bytes]) -> None:
        if self._disconnected:
            content.close()
            return
        self._intake, self.content = None, content
        try:
            self.site.resource.render(self)
        except Exception:
            self.processingFailed(Failure())

    def _refuse(self, failure: Failure) -> None:
        if not self._disconnected:
            respond(self, answer(failure.value))

    def _spool(self) -> SpoolFile:
        return self.site.spool(self.channel)

    def connectionLost(self, reason: Failure) -> None:
        if self._intake is not None:
            self._intake.close()
            self._intake = None
        super().connectionLost(reason)
        self.site.ended(self)

    # out

    def processingFailed(self, reason: Failure) -> None:
        """A resource raised: our bug. Logged, and shown neutrally as long as nothing has been sent."""
        shown = answer(reason.value)
        if self.startedWriting or self._disconnected:
            self.loseConnection()
        else:
            respond(self, shown)

    def write(self, data: bytes) -> None:
        """One write to the transport; the first one carries the head. `data` is dropped after a disconnect, and when the answer has no body."""
        if self.finished:
            raise RuntimeError("write after finish")
        if self._disconnected:
            return
        if not self.startedWriting:
            self.startedWriting = 1
            head = self._head()
        else:
            head = b""
        if self._bodyless() or not data:
            if head:
                self.channel.write(head)
            return
        self.sentLength += len(data)
        if not self.chunked:
            if head and len(data) > JOINED:
                self.channel.writeSequence([head, data])
            else:
                self.channel.write(head + data if head else data)
        elif len(data) <= JOINED:
            self.channel.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        else:
            self.channel.writeSequence([b"%b%x\r\n" % (head, len(data)), data, b"\r\n"])

    def finish(self) -> None:
        """As in twisted.web; an answer that nothing was written to says that it is empty."""
        over = self.finished or self._disconnected
        if not (over or self.startedWriting or self._bodyless() or self.responseHeaders.hasHeader(b"Content-Length")):
            self.responseHeaders.setRawHeaders(b"Content-Length", [b"0"])
        super().finish()
        if not over:
            self.site.ended(self)

    def _bodyless(self) -> bool:
        return self.method == b"HEAD" or self.code in NO_BODY_CODES

    def _head(self) -> bytes:
        headers = self.responseHeaders
        lines = [b"%b %d %b\r\n" % (self.clientproto, self.code, self.code_message)]
        if lines == USUAL and self.method != b"HEAD" and [*headers.getAllRawHeaders()] == EVENTS_ALONE:
            self.chunked = 1
            return self.site.events_head()
        if not headers.hasHeader(b"Date"):  # a plugin may have given one
            headers.setRawHeaders(b"Date", [self.site.date()])
        for name, values in headers.getAllRawHeaders():
            lines += [b"%b: %b\r\n" % (name, value) for value in values]
        if not headers.hasHeader(b"Content-Length") and self.clientproto == b"HTTP/1.1" and not self._bodyless():
            self.chunked = 1
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


def respond(request: server.Request, what: Answer) -> None:
    """The whole answer at once; JSON, unless another type has been set."""
    request.setResponseCode(what.status)
    respond_pieces(request, (what.body,))


def respond_pieces(request: server.Request, pieces: Pieces) -> None:
    """The same with the status as it is and a body that has not been joined."""
    if not request.responseHeaders.hasHeader(b"Content-Type"):
        request.setHeader(b"Content-Type", JSON)
    request.setHeader(b"Content-Length", b"%d" % sum(map(len, pieces)))
    first, *rest = pieces
    request.write(first)
    if rest and request.method != b"HEAD":
        request.channel.writeSequence(rest)
    request.finish()
