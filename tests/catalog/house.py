"""
A catalog on a real SQLite file and real blobs, without threads: everything happens in the turn in which it is asked for, time is a Clock.

The launcher is a fake with the behaviour of the interface: launches take until a test lets them end, joined ones end together.
"""

import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.catalog.areas import Areas
from difyd.catalog.declarations import Declarations
from difyd.catalog.installations import Installations
from difyd.catalog.installs import Installs
from difyd.catalog.jobs import Jobs
from difyd.catalog.monitor import Monitor
from difyd.catalog.packages import Packages
from difyd.catalog.removals import Removals
from difyd.catalog.tasks import Tasks
from difyd.catalog.turns import Turns
from difyd.catalog.uninstalls import Uninstalls
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import LaunchFailed
from difyd.runtime.interfaces import ILauncher, IProgress
from difyd.store.blobs import Blobs
from difyd.store.cache.memory import MemoryLeases, MemoryMessages
from difyd.store.database import connect, declarations, installations
from difyd.store.database.engine import Database
from difyd.store.local import LocalObjects
from difyd.telemetry.metrics import NoMetrics
from tests.store.inline import inline_threads

T = TypeVar("T")

TENANT, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
BEGAN = 1_800_000_000.0
"""The time of the wall when a test begins."""


def named(name: str = "weather", version: str = "1.0.0") -> PluginIdentifier:
    return PluginIdentifier.parse(f"acme/{name}:{version}@{'0' * 64}")


WEATHER, NEWER = named(), named(version="2.0.0")


def declared(identifier: PluginIdentifier, kind: str = "tool", **more: Any) -> bytes:
    """The declaration of a small plugin with one provider, named like the plugin."""
    provider = {"provider": identifier.name} if kind == "model" else {"identity": {"name": identifier.name, "author": identifier.author}}
    return msgspec.json.encode(
        {
            "version": identifier.version,
            "author": identifier.author,
            "name": identifier.name,
            "label": {"en_US": identifier.name.capitalize()},
            "description": {"en_US": "A sample"},
            "icon": "icon.svg",
            "icon_dark": "",
            "tags": [],
            "verified": False,
            kind: provider,
            **more,
        }
    )


@define(eq=False)
class _Launch:
    progress: list[IProgress] = field(factory=list)
    waiting: list[Deferred[None]] = field(factory=list)


@implementer(ILauncher)
@define(eq=False)
class FakeLauncher:
    """Launches wait for `ready` or `fail`; of one identifier there is one launch, however many ask."""

    running: set[PluginIdentifier] = field(factory=set)
    launches: list[PluginIdentifier] = field(factory=list)
    killed: list[PluginIdentifier] = field(factory=list)
    retired: list[PluginIdentifier] = field(factory=list)
    reserved: list[PluginIdentifier] = field(factory=list)
    _under_way: dict[PluginIdentifier, _Launch] = field(factory=dict)

    async def launch(self, identifier: PluginIdentifier, progress: IProgress) -> None:
        if identifier in self.running:
            return
        launch = self._under_way.get(identifier)
        if launch is None:
            self.launches.append(identifier)
            launch = self._under_way[identifier] = _Launch()
        launch.progress.append(progress)

        def leave(waiter: Deferred[None]) -> None:
            launch.waiting.remove(waiter)
            if not launch.waiting:
                del self._under_way[identifier]
                self.killed.append(identifier)

        waiter: Deferred[None] = Deferred(leave)
        launch.waiting.append(waiter)
        await waiter

    def reserve(self, identifier: PluginIdentifier) -> None:
        self.reserved.append(identifier)

    def release(self, identifier: PluginIdentifier) -> None:
        self.reserved.remove(identifier)

    def retire(self, identifier: PluginIdentifier) -> None:
        if identifier in self.reserved:
            return
        self.retired.append(identifier)
        self.running.discard(identifier)

    # what a test does

    def launching(self, identifier: PluginIdentifier) -> bool:
        return identifier in self._under_way

    def say(self, identifier: PluginIdentifier, text: str) -> None:
        for progress in self._under_way[identifier].progress:
            progress.info(text)

    def ready(self, identifier: PluginIdentifier) -> None:
        self.running.add(identifier)
        for waiter in self._under_way.pop(identifier).waiting:
            waiter.callback(None)

    def fail(self, identifier: PluginIdentifier, text: str) -> None:
        for waiter in self._under_way.pop(identifier).waiting:
            waiter.errback(LaunchFailed(text))


class House(SynchronousTestCase):
    """Starts a catalog before each test and stops what is still running after it."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.clock = Clock()
        self.database = Database(
            connect.sqlite_engine(self.directory / "test.db", 2), readers=inline_threads(), writers=inline_threads(), now=self.now
        )
        self.start(self.database)
        self.areas = Areas()
        self.blobs = Blobs(LocalObjects(self.directory / "storage"), inline_threads())
        self.start(self.blobs)
        self.leases, self.messages = MemoryLeases(self.clock), MemoryMessages(self.clock)
        self.launcher = FakeLauncher()
        self.tasks = Tasks(self.database)
        self.build("node-1")

    def now(self) -> float:
        return BEGAN + self.clock.seconds()

    def build(self, node: str) -> None:
        """The parts of one run of a daemon; called again for the next run on the same data."""
        self.known = Declarations(self.database)
        self.installations = Installations(self.clock, self.database, self.messages, self.known)
        self.packages = Packages(self.blobs, self.areas, self.database, self.known)
        self.turns = Turns(self.clock, self.leases)
        self.removals = Removals(self.clock, self.database, self.packages, self.launcher, self.turns)
        self.jobs = Jobs(
            self.clock,
            self.database,
            self.packages,
            self.installations,
            self.launcher,
            self.turns,
            self.removals,
            NoMetrics(),
            limit=900.0,
        )
        self.installs = Installs(self.clock, self.database, self.leases, self.installations, self.removals, self.jobs, node)
        self.uninstalls = Uninstalls(self.database, self.installations, self.removals)
        self.monitor = Monitor(self.clock, self.database, self.leases, self.installs, node, 960.0, self.now)
        for part in (self.installations, self.turns, self.removals, self.uninstalls, self.installs):
            self.start(part)

    def start(self, part: Any) -> None:
        started = part.startService()
        if started is not None:
            self.successResultOf(started)
        self.addCleanup(self.stop, part)

    def stop(self, part: Any) -> None:
        if part.running:
            self.successResultOf(part.stopService() or succeed(None))

    def got(self, work: Awaitable[T]) -> T:
        """The result of what must not have to wait."""
        return self.successResultOf(self.begun(work))

    def begun(self, work: Awaitable[T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work)  # type: ignore[arg-type]

    def refused(self, work: Awaitable[Any], kind: type[Exception]) -> str:
        """The text of the error that `work` ends with at once."""
        return str(self.failureResultOf(self.begun(work), kind).value)

    def upload(self, *identifiers: PluginIdentifier, kind: str = "tool") -> None:
        """What an upload leaves: package and declaration."""
        for identifier in identifiers:
            self.got(self.blobs.write(self.areas.package(identifier), f"package of {identifier}".encode()))
            self.got(self.database.run(declarations.add_blocking, identifier, declared(identifier, kind)))

    def have(self, identifier: PluginIdentifier = WEATHER, tenant: str = TENANT, kind: str = "tool") -> str:
        """Install without further ado; the id of the installation."""
        self.upload(identifier, kind=kind)
        self.launcher.running.add(identifier)
        self.got(self.packages.mark_installed(identifier))
        return self.got(
            self.database.run(
                installations.install_blocking,
                tenant,
                identifier,
                Declaration.decode(declared(identifier, kind)),
                runtime=RuntimeType.LOCAL,
                source="package",
            )
        ).id

    def install(self, *identifiers: PluginIdentifier, tenant: str = TENANT, source: str = "package") -> str:
        """Begin an install; the id of its task."""
        return self.got(self.installs.install(tenant, identifiers, source, [{} for _ in identifiers])).task_id

    def upgrade(self, old: PluginIdentifier, new: PluginIdentifier, tenant: str = TENANT) -> str:
        return self.got(self.installs.upgrade(tenant, old, new, "package", {})).task_id

    def task(self, task_id: str, tenant: str = TENANT) -> dict[str, Any]:
        return msgspec.json.decode(self.got(self.tasks.get(tenant, task_id)))

    def entries(self, task_id: str, tenant: str = TENANT) -> list[tuple[str, str]]:
        """(status, message) of the plugins of a task."""
        return [(entry["status"], entry["message"]) for entry in self.task(task_id, tenant)["plugins"]]

    def installed(self, name: str = "weather", tenant: str = TENANT) -> PluginIdentifier | None:
        found = self.got(self.database.read(installations.find_blocking, tenant, f"acme/{name}"))
        return None if found is None else found.identifier

    def copies(self) -> list[PluginIdentifier]:
        return self.got(self.packages.copies())

    def wait(self, seconds: float, step: float = 0.5) -> None:
        self.clock.pump([step] * int(seconds / step))
