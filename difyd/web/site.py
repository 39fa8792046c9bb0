"""
The HTTP server: twisted.web's, with what a plugin daemon needs done differently.

- A request is judged by its head: unknown route, key, size. Its body is taken in only if it passes (`difyd.web.channel`).
- Bodies go to memory or to a file, and are never parsed on the way (`difyd.web.body`).
- Connections have no time limits: a call may think for ten minutes, and clients keep idle connections as long as they like (http-api 1).
- The answer's head goes out together with the first bytes of its body (`difyd.web.request`).

What handlers rely on is twisted.web's interface, so that they also run on its own `Request`:

- `request.content`: see `difyd.web.body`. `request.args` holds the query alone.
- `request.write(data)`: one write to the transport and, on HTTP/1.1 without a content length, one chunk.
- `begin_events(request)`: the answer is a stream of events.
- `request.registerProducer(producer, True)`: an IPushProducer is told when the client does not keep up. The request is then finished by it.
"""

# mypy: allow-untyped-calls

from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.web import server
from twisted.web.http import datetimeToString
from twisted.web.iweb import IRequest

from difyd.web.body import InThread, SpoolFile
from difyd.web.channel import Channel
from difyd.web.envelope import Answer, answer
from difyd.web.front import Front
from difyd.web.head import HeadReader
from difyd.web.request import EVENTS, Request
from difyd.web.routes import BodyLimit
from difyd.web.traffic import Traffic
from difyd.web.uploads import PREFIX
from difyd.web.waiters import Waiters

EVENTS_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nDate: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


def begin_events(request: IRequest) -> None:
    """
    Declare the answer of `request` to be a stream of events (http-api 5.1).

    Nothing is sent: the head goes out with the first `request.write`, in one piece with it. `request.finish()` without a write answers with an
    empty body of that type.
    """
    request.responseHeaders.setRawHeaders(b"Content-Type", [EVENTS])


class Site(server.Site):
    """
    Serves `front` and tells `traffic` of every request.

    Large bodies wait in files in `directory`, written by `in_thread`.
    """

    protocol = Channel  # type: ignore[assignment]  # twisted.web declares the wrapper that chooses between HTTP/1 and HTTP/2
    resource: Front
    noisy = False  # the listener says where it serves

    def __init__(
        self, reactor: IReactorTime, front: Front, traffic: Traffic, in_thread: InThread, directory: Path, now: Callable[[], float]
    ) -> None:
        """`now` is the time of day: the reactor's clock need not know it."""
        super().__init__(front, timeout=None, reactor=reactor, parsePOSTFormSubmission=False)
        self.heads = HeadReader()
        self.channels: set[Channel] = set()
        self._empty = Waiters()
        self.closing = False
        self._traffic = traffic
        self._in_thread = in_thread
        self._directory = directory
        self._now = now
        self._date = (-1, b"", b"")

    def startFactory(self) -> None:
        """Nothing: the superclass would open its own access log, with a timer that runs every second."""

    def stopFactory(self) -> None:
        """See startFactory."""

    def admit(self, request: Request) -> BodyLimit | Answer:
        """A request has begun. How much body it may bring, or how it is refused."""
        request.began = self.reactor.seconds()
        try:
            verdict = self.resource.admit(request)
        except Exception as why:  # a bug of ours, which must not cost the connection
            verdict = answer(why)
        self._traffic.began(request)
        return verdict

    def ended(self, request: Request) -> None:
        """The request is over, answered or not."""
        self._traffic.ended(request, self.reactor.seconds() - request.began)

    def close_idle(self) -> None:
        """From now on no connection outlives its answer; those without a request are closed."""
        self.closing = True
        for channel in list(self.channels):
            if channel.idle():
                channel.loseConnection()

    async def close_all(self, patience: float) -> None:
        """Close every connection, also in the middle of an answer; those that are still there after `patience` seconds are cut."""
        for channel in list(self.channels):
            channel.loseConnection()
        try:
            await self._empty.wait(not self.channels).addTimeout(patience, self.reactor)
        except TimeoutError:  # clients that do not read what they were sent
            for channel in list(self.channels):
                channel.transport.abortConnection()

    def connected(self, channel: Channel) -> None:
        self.channels.add(channel)

    def disconnected(self, channel: Channel) -> None:
        self.channels.discard(channel)
        if not self.channels:
            self._empty.fire()

    async def prepare(self) -> None:
        """Make the directory for large bodies, and remove what a process that was killed left there."""
        await self._in_thread(_prepare_blocking, self._directory)

    def spool(self, channel: Channel) -> SpoolFile:
        return SpoolFile(self._in_thread, self._directory, channel.pause_reading, channel.resume_reading)

    def date(self) -> bytes:
        """Now, as the head of an answer gives it; made once a second."""
        return self._dated()[1]

    def events_head(self) -> bytes:
        """The head of an answer that is a stream of events and has no headers of its own; made once a second, for thousands of calls."""
        return self._dated()[2]

    def _dated(self) -> tuple[int, bytes, bytes]:
        now = int(self._now())
        if self._date[0] != now:
            date = datetimeToString(now)
            self._date = (now, date, EVENTS_HEAD % (EVENTS, date))
        return self._date


def _prepare_blocking(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in directory.glob(f"{PREFIX}*"):
        left.unlink(missing_ok=True)
