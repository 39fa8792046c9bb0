"""Server-sent events to one client (http-api 5)."""

from attrs import define, field
from twisted.web.server import Request
from zope.interface import implementer

from difyd.invoke.answers import IChunkSink
from difyd.web.envelope import failure
from difyd.web.outflow import Outflow
from difyd.web.site import begin_events


@implementer(IChunkSink)
@define(eq=False)
class EventStream:
    """The answer of one call: events, and at the end perhaps one that says what went wrong."""

    _request: Request
    _limit: int
    _out: Outflow = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._out = Outflow(self._request, self._limit)

    def open(self) -> None:
        """From here on the answer is a stream; its head goes out with the first event."""
        begin_events(self._request)
        self._out.open()

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def close(self, why: Exception | None = None) -> None:
        """End the stream, after an event that says why when the call has failed. Not after a disconnect."""
        if why is not None:
            self._out.last(b"data: " + failure(why) + b"\n\n")
        self._out.close()
