"""Uninstalling (http-api 13.7; state-and-cluster 5.7)."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.installations import Installations
from difyd.catalog.removals import Removals
from difyd.errors import InternalError
from difyd.store.database import installations
from difyd.store.database.engine import Database, DatabaseFailed


class Uninstalls(Service):
    """Takes a plugin from a tenant; the process stops afterwards, when it was the last one."""

    log = Logger()

    def __init__(self, database: Database, known: Installations, removals: Removals) -> None:
        self._database, self._installations, self._removals = database, known, removals
        self._work = Background()

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return self._work.idle()

    async def uninstall(self, tenant: str, installation: str) -> None:
        """
        Returns after the transaction, also when the tenant has no such installation. Raises InternalError.

        A caller that goes away stops nothing: the caches must hear of what was committed.
        """
        await self._work.finish("an uninstall", self._uninstall(tenant, installation))

    async def _uninstall(self, tenant: str, installation: str) -> None:
        try:
            removed = await self._database.run(installations.uninstall_blocking, tenant, installation)
        except DatabaseFailed as why:
            raise InternalError(f"failed to uninstall plugin: {why}") from why
        if removed is None:
            return
        identifier = removed.installation.identifier
        self.log.info("{identifier} was uninstalled for {tenant}", identifier=str(identifier), tenant=tenant)
        self._installations.changed(tenant, identifier.plugin_id, identifier if removed.last else None)
        if removed.last:
            self._removals.check(identifier)
