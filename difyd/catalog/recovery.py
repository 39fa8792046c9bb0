"""What the start of a daemon puts right of what its predecessor left (state-and-cluster 6.6, 12.1)."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from difyd.catalog.packages import Packages
from difyd.catalog.removals import Removals
from difyd.errors import DaemonError
from difyd.store.database import installations
from difyd.store.database.engine import Database


class Recovery(Service):
    """
    Two looks, once: reference counts that do not fit the installations, and installed copies that no row refers to.

    Such copies are left by an install that was killed before its rows were written, and by an uninstall that was killed after its rows were
    deleted; both end with the version cleared away.
    """

    log = Logger()

    def __init__(self, database: Database, packages: Packages, removals: Removals) -> None:
        self._database, self._packages, self._removals = database, packages, removals

    def startService(self) -> Deferred[None]:
        """Fires when it has looked; a database or a storage that does not answer now hinders the start no further."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._recover())

    async def _recover(self) -> None:
        try:
            for repair in await self._database.run(installations.repair_blocking):
                self.log.warn(
                    "{identifier} was counted as installed {was} times, which is {now} now",
                    identifier=repair.identifier,
                    was=repair.was,
                    now=repair.now,
                )
            wanted = set(await self._packages.installed())
            for identifier in await self._packages.copies():
                if identifier not in wanted:
                    self._removals.check(identifier)
        except DaemonError as why:
            self.log.error("cannot look for what an earlier run has left: {why}", why=str(why))
