"""One TCP connection of a plugin under development."""

from collections import deque
from collections.abc import Callable
from typing import Final, cast

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableDescriptor, INegotiated, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import ConnectionClosed
from difyd.hangup import hung_up
from difyd.runtime.debug.deadline import Deadline
from difyd.runtime.debug.inquiries import Desk, Inquiries
from difyd.runtime.debug.interfaces import ILink
from difyd.runtime.debug.messages import Chunk, Declared, End, Handshake, Kind, Message, Refusal, last_words, messages_of
from difyd.runtime.debug.outbox import Outbox, Wire
from difyd.runtime.debug.registration import HANDSHAKE, new_life
from difyd.runtime.debug.submission import Submission
from difyd.runtime.interfaces import IChannel, ISession
from difyd.runtime.sessions import IPluginListener, Sessions
from difyd.telemetry.addresses import shown
from difyd.wire.lines import LineBuffer, TooLong

GREETING: Final = 16 * 1024
"""Bytes of a line from somebody who has not said who it is."""
SHOWN: Final = 1024
"""Bytes of stray output that the log shows."""


@implementer(ILink, IPluginListener)
class DebugConnection(LineReceiver):
    """
    Bytes in, bytes out. What they mean at which time is the business of its life (see `registration`), whose `Owner` this is.

    Reading is paused while others look at a key or a declaration, or install the plugin; what one read has brought by then waits here.
    """

    log = Logger()

    delimiter = b"\n"
    MAX_LENGTH = 64 * 1024 * 1024
    """Far above any declaration, and any document in a call."""

    def __init__(self, clock: IReactorTime, desk: Desk, ended: Callable[["DebugConnection"], None] = lambda _: None) -> None:
        """`ended` is called when the connection is closed, whoever closed it."""
        self.gone = False
        self._clock, self._desk, self._ended = clock, desk, ended
        self._life = new_life(self)
        self._deadline = Deadline(clock, self._life.deadline)
        self._inquiries = Inquiries(clock, desk, self._life)
        self._framing = LineBuffer(GREETING)
        self._sessions = Sessions(self, self.MAX_LENGTH, setting="")
        self._take: Callable[[bytes], None] = self._take_registration
        self._unread = b""
        self._said: deque[Message] = deque()
        self._submission: Submission | None = None
        self._who: dict[str, str] = {}
        """For the log: as much as is known."""

    def lost(self) -> bool:
        return self.gone or hung_up(self.transport)

    # the transport's side

    def connectionMade(self) -> None:
        self._since = self._clock.seconds()
        self._wire = cast(Wire, self.transport)
        self._who["peer"] = shown(self._wire.getPeer())
        self._outbox = Outbox(self._wire, self._desk.unread, self._life.stop)
        self._outbox.open()
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(True)  # there is no heartbeat towards the plugin
            self.transport.setTcpNoDelay(True)
        self._desk.visitors.enter(self)
        self._deadline.within(HANDSHAKE)

    def dataReceived(self, data: bytes) -> None:
        self._deadline.renew()
        data, self._unread = self._unread + data, b""
        if self.paused:
            self._unread = data
        else:
            self._take(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._take == self._take_answers:
            self._sessions.lines(self._framing.end())
        self._life.lost()

    def pauseProducing(self) -> None:
        super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        super().resumeProducing()  # type: ignore[no-untyped-call]

    # what comes, by the phase in which it comes

    def _take_registration(self, data: bytes) -> None:
        """Line by line, message by message: any of them may be the last one that counts, or may have to be waited for."""
        at = 0
        while not self.paused and not self.gone:
            if self._said:
                self._hear(self._said.popleft())
            elif at < len(data):
                end = data.find(b"\n", at) + 1 or len(data)
                for line in self._framing.feed(data[at:end]):
                    if isinstance(line, TooLong):
                        self.lineLengthExceeded(line.head)
                    elif isinstance(line, bytes):
                        self.lineReceived(line)
                at = end
            else:
                break
        if not self.gone:
            self._unread = data[at:]
            self._weigh()

    def lineReceived(self, line: bytes) -> None:
        try:
            self._said.extend(messages_of(line))
        except Refusal:
            self._life.nonsense()

    def lineLengthExceeded(self, line: bytes) -> None:
        self._life.overlong()

    def _hear(self, message: Message) -> None:
        match message:
            case Handshake(key):
                self._life.handshake(key)
            case Declared(kind, data):
                self._life.declare(kind, data)
            case Chunk(data):
                try:
                    self._life.asset(data)
                except Refusal as why:
                    self._life.refuse(last_words(why))
            case End():
                self._life.end()
            case _:
                self._life.unknown()

    def _weigh(self) -> None:
        """What it holds counts from the moment at which we know who it is; before that it is next to nothing."""
        if self._submission is not None:
            try:
                self._desk.visitors.hold(self, self._framing.held + len(self._unread) + self._submission.weight)
            except Refusal as why:
                self._life.refuse(last_words(why))

    def _take_answers(self, data: bytes) -> None:
        self._sessions.lines(self._framing.feed(data))

    # Owner

    def within(self, seconds: float) -> None:
        self._deadline.within(seconds)

    def unless_silent(self, seconds: float) -> None:
        self._deadline.unless_silent(seconds)

    def at_most(self, seconds: float) -> None:
        self._deadline.at_most(seconds)

    def patiently(self) -> None:
        self._deadline.never()

    def look_up(self, key: str) -> None:
        self.pauseProducing()
        self._inquiries.tenant_of(key)

    def register(self, tenant: str) -> None:
        self._who["tenant"] = tenant
        self._submission = Submission(tenant, self._desk.declarations())
        self._framing.limit = self.MAX_LENGTH
        self.resume()

    def check(self, kind: Kind, data: bytes) -> None:
        assert self._submission is not None
        self._submission.expect(data)
        self.pauseProducing()
        self._inquiries.in_order(self._submission, kind, data)

    def keep(self, data: bytes) -> None:
        assert self._submission is not None
        self._submission.add_asset(data)

    def resume(self) -> None:
        self._soon(self.resumeProducing)

    def install(self) -> None:
        assert self._submission is not None
        self.pauseProducing()
        self._inquiries.admit(self, self._submission, self._admitted)

    def _admitted(self, identifier: PluginIdentifier) -> None:
        self._who["identifier"] = str(identifier)

    def serve(self) -> None:
        self.log.info("the plugin at {peer} is registered: {identifier} of {tenant}", **self._who)
        self._submission = None
        self._said.clear()
        self._desk.visitors.leave(self)
        self._take = self._take_answers
        self.resume()

    def drain(self) -> None:
        self._soon(self._look)

    def say(self, line: bytes) -> None:
        self.log.warn("the plugin at {peer} is turned away: {reason}", reason=line.decode(), **self._who)
        self._quit()
        if self.paused:
            self.resumeProducing()
        self._wire.write(line + self.delimiter)
        # Closing with unread input makes the kernel reset the connection, and the line is lost: so only our direction ends, and what comes
        # is read and thrown away. TLS ends by itself in that way.
        if IHalfCloseableDescriptor.providedBy(self.transport) and not INegotiated.providedBy(self.transport):
            self._wire.loseWriteConnection()
        else:
            self._wire.loseConnection()

    def hang_up(self) -> None:
        self._quit()
        self._wire.loseConnection()

    def cut(self) -> None:
        self._wire.abortConnection()

    def clear(self) -> None:
        self._quit()
        tell = self.log.info if "identifier" in self._who else self.log.debug
        tell("the connection of the plugin at {peer} has ended after {elapsed:.1f} s", elapsed=self._clock.seconds() - self._since, **self._who)
        self._ended(self)

    def _soon(self, what: Callable[[], None]) -> None:
        """In the next turn, if there is one for us: it leads to further inputs, and the machine is still at work in this one."""
        self._clock.callLater(0, lambda: None if self.gone else what())

    def _quit(self) -> None:
        """Calls fail, others forget this connection, and what it still sends is thrown away. Idempotent."""
        if self.gone:
            return
        self.gone = True
        self._take = _throw_away
        self._unread, self._framing, self._submission = b"", LineBuffer(1), None
        self._said.clear()
        self._inquiries.drop()
        self._outbox.close()
        self._sessions.fail(ConnectionClosed())
        self._desk.visitors.leave(self)
        self._desk.plugins.leave(self)

    # Visitor

    def turn_out(self) -> None:
        self._life.stop()

    # ILink

    def open(self, session: ISession) -> IChannel:
        self._sessions.add(session)
        self._outbox.send(session.request)
        return _Channel(session, self._sessions, self._outbox, self._look)

    def supersede(self) -> None:
        self._life.supersede()

    def close(self) -> None:
        self._life.stop()

    def _look(self) -> None:
        if not len(self._sessions):
            self._life.idle()

    # IPluginListener

    def heartbeat(self) -> None:
        """A sign of life like any byte."""

    def logged(self, level: str, message: str, timestamp: float | None) -> None:
        """Its developer has it on the screen (7)."""

    def complained(self, detail: str) -> None:
        self.log.warn("a plugin under development complains: {detail}", detail=detail[:SHOWN], **self._who)

    def printed(self, text: bytes) -> None:
        self.log.info("a plugin under development wrote what is no message: {text!r}", text=text[:SHOWN], **self._who)


@implementer(IChannel)
@define(eq=False)
class _Channel:
    """One call on a connection."""

    _session: ISession
    _sessions: Sessions
    _outbox: Outbox
    _closed: Callable[[], None]

    def send(self, line: bytes) -> None:
        self._outbox.send(line)

    def room(self) -> Deferred[None]:
        return self._outbox.room()

    def close(self) -> None:
        self._sessions.remove(self._session)
        self._closed()


def _throw_away(data: bytes) -> None:
    """Bytes of a connection that is over."""
