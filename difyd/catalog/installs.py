"""Requests to install and to upgrade (http-api 13.3, 13.4; state-and-cluster 5.4, 5.6). What they begin is done by `jobs`."""

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.claims import Claim
from difyd.catalog.installations import Installations
from difyd.catalog.jobs import NO_DECLARATION, Jobs, Wanted
from difyd.catalog.removals import Removals
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import BadRequest, DaemonError, InternalError, NotFound, ShuttingDown
from difyd.store.cache.interfaces import ILeases
from difyd.store.database import declarations, installations, tasks
from difyd.store.database.engine import Database, Transaction
from difyd.store.database.installations import Upgraded
from difyd.store.database.records import TaskEntry

SHUTDOWN: Final = "An unexpected daemon shutdown occurred"
MOST: Final = 64
"""Plugins in one request."""


@frozen
class Started:
    """The answer to a request; an empty task means that nothing was to do."""

    task_id: str = ""

    def to_json(self) -> bytes:
        return msgspec.json.encode({"all_installed": not self.task_id, "task_id": self.task_id})


def presence(node: str) -> str:
    """The name of the lease that a node holds while it looks after its tasks."""
    return f"installs:{node}"


class Installs(Service):
    """
    Begins one job for each plugin of a request; all run at once.

    Stopping cancels them and fails their tasks, except what had succeeded. `node` is the name under which this process owns its tasks; it
    must be another one in every run.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        database: Database,
        leases: ILeases,
        known: Installations,
        removals: Removals,
        jobs: Jobs,
        node: str,
        runtime: RuntimeType = RuntimeType.LOCAL,
    ) -> None:
        self._database, self._installations, self._removals = database, known, removals
        self._jobs, self._node, self._runtime = jobs, node, runtime
        self._claim = Claim(clock, leases, presence(node))
        self._live: dict[str, int] = {}  # how many jobs of a task run
        self._creating = 0  # requests whose task may be in the database already, and not yet in `_live`
        self._requests, self._running = Background(), Background()

    def startService(self) -> Deferred[bool]:
        Service.startService(self)
        return Deferred.fromCoroutine(self._claim.take())

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def install(self, tenant: str, identifiers: Sequence[PluginIdentifier], source: str, metas: Sequence[Mapping[str, Any]]) -> Started:
        """
        Begin to install what the tenant has not got in any version.

        Raises BadRequest (number of metas), InternalError (a declaration that was never uploaded); nothing is begun then.
        """
        if len(identifiers) != len(metas):
            raise BadRequest("the number of metas must be equal to the number of plugin unique identifiers")
        wanted: dict[PluginIdentifier, Mapping[str, Any]] = {}
        for identifier, meta in zip(identifiers, metas, strict=True):
            wanted.setdefault(identifier, meta)
        return await self._requested(self._install(tenant, wanted, source))

    async def upgrade(self, tenant: str, original: PluginIdentifier, new: PluginIdentifier, source: str, meta: Mapping[str, Any]) -> Started:
        """
        Switch the tenant to another version: at once when some tenant uses it already, else when it is up.

        Raises BadRequest (same identifier, other plugin), NotFound (the tenant does not have `original`).
        """
        if original == new:
            raise BadRequest("original and new plugin unique identifier are the same")
        if original.plugin_id != new.plugin_id:
            raise BadRequest("original and new plugin id are different")
        return await self._requested(self._upgrade(tenant, original, new, source, msgspec.json.encode(meta)))

    def lost(self, owned: Iterable[str]) -> list[str]:
        """Which of the unfinished tasks that name this node as their owner have no job here (any more)?"""
        if self._creating:  # one of them may be so new that we have not heard of it
            return []
        return [task for task in owned if task not in self._live]

    async def _requested(self, work: Coroutine[Deferred[Any], Any, Started]) -> Started:
        """A caller that goes away leaves no task without jobs, and no switch of which the caches have not heard."""
        if not self.running:
            work.close()
            raise ShuttingDown
        self._creating += 1
        return await self._requests.finish("an install request", self._counted(work))

    async def _counted(self, work: Coroutine[Deferred[Any], Any, Started]) -> Started:
        try:
            return await work
        finally:
            self._creating -= 1

    async def _install(self, tenant: str, wanted: Mapping[PluginIdentifier, Mapping[str, Any]], source: str) -> Started:
        task = await self._database.run(_create_blocking, tenant, list(wanted), source, self._node)
        if task is None:
            return Started()
        for identifier, meta in wanted.items():
            self._begin(Wanted(task, tenant, identifier, source, msgspec.json.encode(meta)))
        return Started(task)

    async def _upgrade(self, tenant: str, original: PluginIdentifier, new: PluginIdentifier, source: str, meta: bytes) -> Started:
        done = await self._database.run(_switch_blocking, tenant, original, new, source, meta, self._runtime, self._node)
        if isinstance(done, str):
            self._begin(Wanted(done, tenant, new, source, meta, original))
            return Started(done)
        self._installations.changed(tenant, new.plugin_id, done.gone)
        if done.gone is not None:
            self._removals.check(done.gone)
        self.log.info("{tenant} was switched to {identifier}", tenant=tenant, identifier=str(new))
        return Started()

    def _begin(self, wanted: Wanted) -> None:
        self._live[wanted.task] = self._live.get(wanted.task, 0) + 1
        if self.running:
            self._running.spawn(f"the install of {wanted.identifier}", self._run(wanted))

    async def _run(self, wanted: Wanted) -> None:
        try:
            await self._jobs.run(wanted)
        finally:
            self._live[wanted.task] -= 1
            if not self._live[wanted.task]:
                del self._live[wanted.task]

    async def _stop(self) -> None:
        await self._requests.idle()
        live = list(self._live)
        self._running.cancel()
        await self._running.idle()
        await self._jobs.settled()
        try:
            if live:
                await self._database.run(_fail_blocking, live, SHUTDOWN)
        except DaemonError as why:
            self.log.error("cannot mark the running install tasks as failed: {why}", why=str(why))
        await self._claim.release()


def _create_blocking(transaction: Transaction, tenant: str, identifiers: Sequence[PluginIdentifier], source: str, owner: str) -> str | None:
    """A task with an entry for each of them; None when the tenant has all of them."""
    present = installations.find_many_blocking(transaction, tenant, [identifier.plugin_id for identifier in identifiers])
    if all(identifier.plugin_id in present for identifier in identifiers):
        return None
    texts = declarations.get_many_blocking(transaction, identifiers)
    if len(texts) < len(identifiers):
        raise InternalError(NO_DECLARATION)
    entries = [_entry(identifier, source, texts[identifier]) for identifier in identifiers]
    return tasks.create_blocking(transaction, tenant, entries, owner=owner)


def _switch_blocking(
    transaction: Transaction,
    tenant: str,
    original: PluginIdentifier,
    new: PluginIdentifier,
    source: str,
    meta: bytes,
    runtime: RuntimeType,
    owner: str,
) -> Upgraded | str:
    """What the switch has changed; the id of a task when `new` must be brought up first."""
    if installations.by_identifier_blocking(transaction, tenant, original) is None:
        raise NotFound("plugin installation not found for this tenant")
    text = declarations.get_blocking(transaction, new) if installations.in_use_blocking(transaction, new) else None
    if text is None:
        return tasks.create_blocking(transaction, tenant, [_entry(new, source)], owner=owner)
    return installations.upgrade_blocking(
        transaction, tenant, original, new, Declaration.decode(text), runtime=runtime, source=source, meta=meta
    )


def _fail_blocking(transaction: Transaction, ids: Iterable[str], message: str) -> None:
    for task in ids:
        tasks.fail_blocking(transaction, task, message)


def _entry(identifier: PluginIdentifier, source: str, declaration: bytes | None = None) -> TaskEntry:
    """A console rejects labels without English, but does not need those that are empty. An upgrade shows neither label nor icon."""
    view = None if declaration is None else Declaration.decode(declaration).view
    return TaskEntry(
        plugin_unique_identifier=str(identifier),
        labels={"en_US": ""} if view is None else {"en_US": "", **{language: text for language, text in view.label.items() if text}},
        icon="" if view is None else view.icon,
        icon_dark="" if view is None else view.icon_dark,
        plugin_id=identifier.plugin_id,
        source=source,
    )
