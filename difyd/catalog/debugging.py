"""
Plugins under development in the catalogue (debug-runtime 6.1, 9, 14; state-and-cluster 5.8).

While a plugin is connected it has the rows of an installation with runtime type `remote`; nobody else has such rows. A tenant that has the
plugin properly installed keeps that installation untouched: the debug build only answers its calls.
"""

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen
from sqlalchemy import select
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from difyd.background import Background
from difyd.catalog.areas import Areas
from difyd.catalog.installations import Installations
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import BadIdentifier, DaemonError
from difyd.package.assets import Asset
from difyd.runtime.debug.interfaces import IAnnouncements, IDebugHost
from difyd.store.blobs import IBlobs
from difyd.store.database import installations
from difyd.store.database.engine import Database, Transaction
from difyd.store.database.installations import AlreadyInstalled, Removed
from difyd.store.database.tables import plugin_installations

SOURCE: Final = "remote"
ROUND: Final = 30.0
"""Seconds between two looks for rows that no connection stands behind."""
PATIENCE: Final = 120.0
"""Seconds for which such a row stays: a plugin whose daemon has restarted connects again within ten."""


@implementer(IDebugHost)
class DebugInstallations(Service):
    """
    Writes the rows of plugins under development, and removes them.

    What a crash has left, or the database refused to remove at a disconnect, goes when nobody has come back to it for two minutes.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, database: Database, blobs: IBlobs, areas: Areas, known: Installations, announcements: IAnnouncements
    ) -> None:
        self._database, self._blobs, self._areas, self._installations = database, blobs, areas, known
        self._announcements = announcements
        self._mine: set[str] = set()
        """Installations that a connection of this node stands behind."""
        self._suspects: dict[str, float] = {}
        """Installations without a connection, and when they were found."""
        self._work = Background()
        self._clock = clock
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._looking.start(ROUND)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        if self._looking.running:
            self._looking.stop()
        return self._work.idle()

    # IDebugHost

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._installations.watch(changed)

    async def keep(self, assets: Sequence[Asset]) -> None:
        for asset in assets:
            key = self._areas.asset(asset.id)
            if not await self._blobs.exists(key):  # the id is made of the content
                await self._blobs.write(key, asset.content)

    async def install(self, tenant: str, identifier: PluginIdentifier, declaration: Declaration) -> str | None:
        installed = await self._database.run(_install_blocking, tenant, identifier, declaration)
        if installed.written:
            self._changed(tenant, identifier.plugin_id, installed.replaced)
        if installed.installation is None:
            self.log.info("{identifier} shadows what {tenant} has installed", identifier=str(identifier), tenant=tenant)
            return None
        self._mine.add(installed.installation.id)
        return installed.installation.id

    async def uninstall(self, tenant: str, identifier: PluginIdentifier, installation: str) -> None:
        self._mine.discard(installation)
        try:
            removed = await self._database.run(_uninstall_blocking, tenant, identifier, installation)
        except DaemonError as why:
            self.log.error("{identifier} of {tenant} is not connected any more, but still listed: {why}",
                           identifier=str(identifier), tenant=tenant, why=str(why))  # fmt: skip
            return
        if removed is not None:
            self._changed(tenant, identifier.plugin_id, removed)

    def _changed(self, tenant: str, plugin_id: str, removed: Removed | None) -> None:
        self._installations.changed(tenant, plugin_id, removed.installation.identifier if removed is not None and removed.last else None)

    # rows without a connection

    def _look(self) -> Deferred[None]:
        return self._work.finish("looking for plugins that are not connected any more", self._remove_stale())

    async def _remove_stale(self) -> None:
        try:
            others = [row for row in await self._database.read(_remote_blocking) if row.id not in self._mine]
            elsewhere = await self._announcements.elsewhere([row.identifier for row in others]) if others else ()
            stale = [row for row in others if row.identifier not in elsewhere]
            now = self._clock.seconds()
            self._suspects = {row.id: self._suspects.get(row.id, now) for row in stale}
            for row in stale:
                if now - self._suspects[row.id] >= PATIENCE and row.id not in self._mine:
                    self.log.info("{identifier} of {tenant} is not connected any more", identifier=str(row.identifier), tenant=row.tenant)
                    await self.uninstall(row.tenant, row.identifier, row.id)
        except DaemonError as why:
            self.log.warn("cannot look for plugins that are not connected any more: {why}", why=str(why))


@frozen
class _Installed:
    installation: Installation | None
    """None when the tenant has the plugin properly installed."""
    written: bool = False
    """Are the rows other ones than before?"""
    replaced: Removed | None = None
    """The build that was connected before."""


def _install_blocking(transaction: Transaction, tenant: str, identifier: PluginIdentifier, declaration: Declaration) -> _Installed:
    """In one transaction: nobody sees the tenant without the plugin when one build replaces another."""
    there = installations.find_blocking(transaction, tenant, identifier.plugin_id)
    replaced = None
    if there is not None and there.runtime is RuntimeType.REMOTE:
        if there.identifier == identifier:
            return _Installed(there)
        replaced = installations.uninstall_blocking(transaction, tenant, there.id)
    elif there is not None:
        return _Installed(None)
    try:
        made = installations.install_blocking(transaction, tenant, identifier, declaration, runtime=RuntimeType.REMOTE, source=SOURCE)
    except AlreadyInstalled:  # the console was faster, by a moment
        return _Installed(None, replaced is not None, replaced)
    return _Installed(made, True, replaced)


def _uninstall_blocking(transaction: Transaction, tenant: str, identifier: PluginIdentifier, installation_id: str) -> Removed | None:
    """Only what is still what was connected: another installation of that plugin id is not ours to remove."""
    there = installations.by_id_blocking(transaction, tenant, installation_id)
    if there is None or there.identifier != identifier or there.runtime is not RuntimeType.REMOTE:
        return None
    return installations.uninstall_blocking(transaction, tenant, installation_id)


def _remote_blocking(transaction: Transaction) -> list[Installation]:
    """All rows of plugins under development, of all tenants."""
    columns = plugin_installations.c
    statement = select(columns.id, columns.tenant_id, columns.plugin_unique_identifier).where(columns.runtime_type == RuntimeType.REMOTE.value)
    found = []
    for row in transaction.connection.execute(statement):
        try:
            identifier = PluginIdentifier.parse(row.plugin_unique_identifier or "")
        except BadIdentifier:
            continue
        found.append(Installation(row.id, row.tenant_id, identifier, RuntimeType.REMOTE))
    return found
