"""Clearing away plugin versions that nobody uses (state-and-cluster 5.6, 5.7, 6.6)."""

from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.packages import Packages
from difyd.catalog.turns import Turns
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import DaemonError
from difyd.runtime.interfaces import ILauncher
from difyd.store.database import installations
from difyd.store.database.engine import Database

AGAIN: Final = 2.0
"""Seconds between two looks whether an install that is in the way is over."""


class Removals(Service):
    """
    Deletes installed copies, and has the launcher stop the process and delete its files.

    The uploaded package stays: the console may install it again after an upload that costs nothing.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, database: Database, packages: Packages, launcher: ILauncher, turns: Turns) -> None:
        self._clock = clock
        self._database, self._packages, self._launcher, self._turns = database, packages, launcher, turns
        self._checks = Background()
        self._closing = False

    def stopService(self) -> Deferred[None]:
        """What the checks under way do not reach any more, the next start finds (see `recovery`)."""
        Service.stopService(self)
        self._closing = True
        self._checks.cancel()
        return self._checks.idle()

    def check(self, identifier: PluginIdentifier) -> None:
        """In the background: clear `identifier` away if no tenant has it installed. While one installs it, that waits."""
        if not self._closing:
            self._checks.spawn(f"clearing away {identifier}", self._check(identifier))

    async def _check(self, identifier: PluginIdentifier) -> None:
        while (held := await self._turns.removing(identifier)) is None:
            await deferLater(self._clock, AGAIN)
        with held:
            try:
                if await self._database.read(installations.in_use_blocking, identifier):
                    return
                self._launcher.retire(identifier)
                await self._packages.unmark_installed(identifier)
            except DaemonError as why:
                self.log.warn("{identifier} is not quite cleared away: {why}", identifier=str(identifier), why=str(why))
            else:
                self.log.info("nobody uses {identifier} any more, it is cleared away", identifier=str(identifier))
