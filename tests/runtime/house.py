"""What tests of instances, runtimes and the supervisor share: sessions, names, a runtime on children in memory."""

from pathlib import Path

import msgspec
from attrs import define, field
from twisted.internet.task import Clock
from zope.interface import implementer

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import PluginInvokeError
from difyd.runtime.backoff import Backoff
from difyd.runtime.hooks import Event
from difyd.runtime.interfaces import ISession
from difyd.runtime.local.child import Command
from difyd.runtime.local.environment import BuildFailed
from difyd.runtime.local.instance import Limits
from difyd.runtime.local.runtime import LocalRuntime, LocalRuntimes
from difyd.runtime.slots import Slots
from tests.runtime.children import MemoryChildren

IDENTIFIER = PluginIdentifier.parse("acme/weather:0.0.1@" + "ab" * 32)
COMMAND = Command(("/place/.venv/bin/python", "-m", "main"), Path("/place"), {})
DECLARATION = Declaration.decode(b'{"meta":{"runner":{"language":"python","entrypoint":"main"}}}')


@implementer(ISession)
@define(eq=False)
class MemorySession:
    """A call that remembers what it was fed."""

    id: str = "s1"
    repeatable: bool = False
    heard: list[object] = field(factory=list)

    @property
    def request(self) -> bytes:
        return f"request of {self.id}\n".encode()

    def stream(self, data: bytes) -> None:
        self.heard.append(msgspec.json.decode(data))

    def flush(self) -> None:
        self.heard.append("flush")

    def end(self) -> None:
        self.heard.append("end")

    def error(self, data: bytes) -> None:
        self.heard.append(("error", data))

    def invoke(self, data: bytes) -> None:
        self.heard.append(("invoke", data))

    def unknown(self, kind: str) -> None:
        self.heard.append(("unknown", kind))

    def broken(self, reason: PluginInvokeError) -> None:
        self.heard.append(type(reason).__name__)


def message(kind: str, data: object = {}, session: str = "s1") -> bytes:
    """One line of a plugin for a session."""
    return msgspec.json.encode({"event": "session", "session_id": session, "data": {"type": kind, "data": data}}) + b"\n"


class Stage:
    """A runtime on children in memory, and all that happened there."""

    def __init__(self, idle: float = 0.0, limits: Limits | None = None, starts: int = 2) -> None:
        self.clock = Clock()
        self.children = MemoryChildren(self.clock)
        self.events: list[Event] = []
        self.backoff = Backoff(lambda: 0.5)
        self.prepared, self.broken = 0, ""
        self.runtimes = LocalRuntimes(self.clock, self.children, Slots(starts), limits or Limits(line=1000), self.events.append, idle)
        self.runtime = self.make()

    def make(self) -> LocalRuntime:
        return self.runtimes.make(IDENTIFIER, DECLARATION, COMMAND, self.backoff, self.prepare)

    async def prepare(self) -> None:
        """Somebody has looked after the working directory; it cannot be made while `broken` says why."""
        self.prepared += 1
        if self.broken:
            raise BuildFailed(self.broken)

    def turn(self, seconds: float = 0.0) -> None:
        """One turn of the reactor, `seconds` later."""
        self.clock.advance(seconds)
        self.clock.advance(0)

    def names(self) -> list[str]:
        """What happened, without the heartbeats."""
        return [type(event).__name__ for event in self.events if type(event).__name__ != "InstanceHeartbeat"]
