"""
The debugging port without sockets: developers who type on StringTransports, a host in memory, threads that are none, time that is a Clock.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import DaemonError, InternalError
from difyd.package.assets import Asset
from difyd.package.registration import Registration
from difyd.runtime.debug.connection import DebugConnection
from difyd.runtime.debug.inquiries import Desk
from difyd.runtime.debug.interfaces import IAnnouncements, IDebugHost, IDebugKeys
from difyd.runtime.debug.plugins import DebugPlugins, Limits
from difyd.runtime.debug.visitors import Visitors
from difyd.runtime.interfaces import IPluginRuntime
from difyd.telemetry.metrics import NoMetrics
from tests.runtime.test_sessions import Heard
from tests.store.inline import inline_threads

TENANT, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ICON = "PHN2Zy8+"
HEARTBEAT = {"event": "heartbeat", "session_id": None, "data": {}}
GRACE = 0.5


def words(text: str) -> dict[str, str]:
    return {"en_US": text}


def manifest(name: str = "weather", version: str = "0.0.1", **more: Any) -> dict[str, Any]:
    return {
        "version": version,
        "type": "plugin",
        "author": "acme",
        "name": name,
        "label": words(name),
        "description": words("Tells the weather."),
        "icon": "icon.svg",
        "icon_dark": None,
        "created_at": "2026-01-01T00:00:00Z",
        "resource": {"memory": 1 << 28, "permission": None},
        "plugins": {"tools": ["weather.yaml"]},
        "meta": {"version": "0.0.1", "arch": ["amd64"], "runner": {"language": "python", "version": "3.12", "entrypoint": "main"}},
        **more,
    }


def tool(name: str = "forecast") -> dict[str, Any]:
    identity = {"author": "acme", "name": name, "label": words(name), "description": words(name), "icon": "icon.svg", "tags": []}
    return {"identity": identity, "credentials_schema": [], "tools": []}


def message(kind: str, data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data}


def chunk(filename: str = "icon.svg", data: str = ICON, end: bool = True) -> dict[str, Any]:
    return message("asset_chunk", {"filename": filename, "data": data, "end": end})


def registration(key: str = "key-1", provider: Mapping[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """The messages of a whole registration, as the SDK orders them."""
    return [
        message("handshake", {"key": key}),
        message("manifest_declaration", manifest(**changes)),
        message("tool_declaration", [provider or tool()]),
        chunk(),
        message("end", {}),
    ]


def encoded(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n\n" for message in messages)


@implementer(IDebugKeys)
@define(eq=False)
class MemoryKeys:
    keys: dict[str, str] = field(factory=lambda: {"key-1": TENANT, "key-2": OTHER})
    trouble: str = ""
    held: list[Deferred[None]] | None = None
    """When it is a list, look-ups wait in it."""

    async def key_of(self, tenant: str) -> str:
        if self.trouble:
            raise InternalError(self.trouble)
        return next(key for key, owner in self.keys.items() if owner == tenant)

    async def tenant_of(self, key: str) -> str | None:
        if self.held is not None:
            self.held.append(Deferred())
            await self.held[-1]
        if self.trouble:
            raise InternalError(self.trouble)
        return self.keys.get(key)


@implementer(IDebugHost)
@define(eq=False)
class MemoryHost:
    """Rows in memory: one installation per tenant and plugin id, as in a database."""

    events: list[tuple[str, ...]]
    rows: dict[tuple[str, str], tuple[str, PluginIdentifier]] = field(factory=dict)
    proper: set[tuple[str, str]] = field(factory=set)
    """What tenants have properly installed."""
    icons: dict[str, bytes] = field(factory=dict)
    trouble: DaemonError | None = None
    held: list[Deferred[None]] | None = None
    """When it is a list, installs and uninstalls wait in it."""
    busy: set[tuple[str, str]] = field(factory=set)
    count: int = 0
    watchers: list[Callable[[str, str], None]] = field(factory=list)

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self.watchers.append(changed)

    def uninstall_proper(self, tenant: str, plugin_id: str) -> None:
        """What the console does."""
        self.proper.remove((tenant, plugin_id))
        for changed in self.watchers:
            changed(tenant, plugin_id)

    async def keep(self, assets: Sequence[Asset]) -> None:
        self.icons.update({asset.id: asset.content for asset in assets})

    async def install(self, tenant: str, identifier: PluginIdentifier, declaration: Declaration) -> str | None:
        key = (tenant, identifier.plugin_id)
        await self._alone(key)
        if self.trouble is not None:
            raise self.trouble
        if key in self.proper:
            return None
        if key not in self.rows or self.rows[key][1] != identifier:
            self.count += 1
            self.rows[key] = (f"row-{self.count}", identifier)
            self.events.append(("shown", tenant, str(identifier)[:19]))
        return self.rows[key][0]

    async def uninstall(self, tenant: str, identifier: PluginIdentifier, installation: str) -> None:
        key = (tenant, identifier.plugin_id)
        await self._alone(key)
        if self.rows.get(key) == (installation, identifier):
            del self.rows[key]
            self.events.append(("taken back", tenant, str(identifier)[:19]))

    async def _alone(self, key: tuple[str, str]) -> None:
        assert key not in self.busy, "two calls for one plugin id overlap"
        self.busy.add(key)
        try:
            if self.held is not None:
                self.held.append(Deferred())
                await self.held[-1]
        finally:
            self.busy.discard(key)

    def go_on(self) -> None:
        """Let what waits happen."""
        assert self.held is not None
        waiting, self.held = self.held, []
        for waiter in waiting:
            waiter.callback(None)


@define(eq=False)
class MemorySupervisor:
    """Where calls would look: by tenant and plugin id."""

    events: list[tuple[str, ...]]
    runtimes: dict[tuple[str, str], IPluginRuntime] = field(factory=dict)

    def connected(self, tenant: str, runtime: IPluginRuntime) -> None:
        self.runtimes[tenant, runtime.identifier.plugin_id] = runtime
        self.events.append(("callable", tenant, str(runtime.identifier)[:19]))

    def disconnected(self, tenant: str, runtime: IPluginRuntime) -> None:
        self.runtimes.pop((tenant, runtime.identifier.plugin_id), None)
        self.events.append(("not callable", tenant, str(runtime.identifier)[:19]))


@implementer(IAnnouncements)
@define(eq=False)
class MemoryAnnouncements:
    there: list[tuple[str, PluginIdentifier]] = field(factory=list)

    def announce(self, tenant: str, identifier: PluginIdentifier) -> None:
        self.there.append((tenant, identifier))

    def withdraw(self, tenant: str, identifier: PluginIdentifier) -> None:
        self.there.remove((tenant, identifier))

    async def elsewhere(self, identifiers: Any) -> list[PluginIdentifier]:
        return []


@implementer(IHalfCloseableDescriptor)
class Cable(StringTransport):
    """A TCP connection whose two directions end one by one."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def readConnectionLost(self, reason: Failure) -> None: ...

    def writeConnectionLost(self, reason: Failure) -> None: ...


@define(eq=False)
class Developer:
    """The other end of one connection."""

    clock: Clock
    connection: DebugConnection
    cable: Cable

    def send(self, data: bytes, size: int | None = None) -> "Developer":
        """All at once, or in pieces of `size` bytes; nothing arrives while the daemon does not read."""
        for start in range(0, len(data), size or len(data) or 1):
            self.connection.dataReceived(data[start : start + (size or len(data))])
            self.clock.pump([0] * 4)
        return self

    def say(self, *messages: Any, size: int | None = None) -> "Developer":
        return self.send(encoded(*messages), size)

    def register(self, **changes: Any) -> "Developer":
        self.say(*registration(**changes))
        self.clock.pump([0] * 40)
        return self

    def leave(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))

    @property
    def told(self) -> str:
        return self.cable.value().decode()

    @property
    def closed(self) -> bool:
        return self.cable.half_closed or self.cable.disconnecting


class DebugHouse(SynchronousTestCase):
    """Everything behind the port, and as many developers as a test likes."""

    limits = Limits(256, None)
    grace = GRACE

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, ...]] = []
        self.keys, self.host = MemoryKeys(), MemoryHost(self.events)
        self.supervisor, self.announcements = MemorySupervisor(self.events), MemoryAnnouncements()
        threads = inline_threads()
        threads.startService()
        self.plugins = DebugPlugins(self.clock, threads, self.host, self.supervisor, self.announcements, NoMetrics(), self.limits, self.grace)
        self.visitors = Visitors(100, 1 << 26)
        self.desk = Desk(self.keys, self.plugins, self.visitors, threads, Registration, unread=1000)

    def connect(self) -> Developer:
        connection, cable = DebugConnection(self.clock, self.desk), Cable(peerAddress=IPv4Address("TCP", "192.0.2.1", 40000))
        connection.makeConnection(cable)
        return Developer(self.clock, connection, cable)

    def turn(self) -> None:
        self.clock.pump([0] * 40)

    def call(self, name: str = "weather", tenant: str = TENANT, session: str = "s") -> tuple[Heard, Deferred[Any]]:
        """A call of a connected plugin: the session that hears the answer, and the channel to come."""
        heard = Heard(session, request=b'{"session_id":"%b"}\n' % session.encode())
        runtime = self.supervisor.runtimes[tenant, f"acme/{name}"]
        return heard, Deferred.fromCoroutine(runtime.open(heard))
