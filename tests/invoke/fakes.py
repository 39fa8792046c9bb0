"""A plugin in memory: a runtime whose instance does what a test tells it to."""

from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from difyd.callback.interfaces import ICallbacks
from difyd.entities.call import Call
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import WriteFailed
from difyd.runtime.interfaces import IChannel, ISession, IShadow

IDENTIFIER = PluginIdentifier.parse("acme/demo:0.0.1@" + "a" * 64)
DECLARATION = Declaration.decode(b"{}")


@implementer(IChannel)
@define(eq=False)
class MemoryChannel:
    session: ISession
    sent: list[bytes] = field(factory=list)
    closed: int = 0

    def send(self, line: bytes) -> None:
        self.sent.append(line)

    def room(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> None:
        self.closed += 1


@implementer(IShadow)
@define(eq=False)
class MemoryRuntime:
    """Takes every session, or refuses it with `refusal`; `play` feeds the newest one."""

    refusal: str = ""
    identifier: PluginIdentifier = IDENTIFIER
    declaration: Declaration = DECLARATION
    kind: RuntimeType = RuntimeType.LOCAL
    available: bool = True
    channels: list[MemoryChannel] = field(factory=list)

    async def open(self, session: ISession) -> IChannel:
        if self.refusal:
            raise WriteFailed(self.refusal)
        channel = MemoryChannel(session)
        self.channels.append(channel)
        return channel

    @property
    def session(self) -> ISession:
        return self.channels[-1].session

    def request(self) -> Any:
        """The line of the newest session, decoded; it is exactly one."""
        line = self.session.request
        assert (line[-1:], line.count(b"\n")) == (b"\n", 1), line
        return msgspec.json.decode(line)

    def play(self, *chunks: object, end: bool = True) -> None:
        """One read from the plugin that brings these chunks."""
        for chunk in chunks:
            self.session.stream(chunk if isinstance(chunk, Raw) else Raw(msgspec.json.encode(chunk)))
        self.session.flush()
        if end:
            self.session.end()


@implementer(ICallbacks)
@define(eq=False)
class MemoryCallbacks:
    """Notes what it is asked."""

    invoked: list[bytes] = field(factory=list)
    refused: list[tuple[str, str]] = field(factory=list)
    closed: list[str] = field(factory=list)

    def invoke(self, call: Call, channel: IChannel, message: bytes) -> None:
        self.invoked.append(message)

    def refuse(self, call: Call, channel: IChannel, request_id: str, reason: str) -> None:
        self.refused.append((request_id, reason))

    def close(self, call: Call) -> None:
        self.closed.append(call.session)
