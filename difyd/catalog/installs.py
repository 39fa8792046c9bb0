"""Installs and upgrades: requests, and the jobs that bring plugins up in the background (http-api 13.3, 13.4; state-and-cluster 5.3-5.6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, frozen
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime

from difyd.catalog.installations import Installations
from difyd.catalog.packages import Packages
from difyd.catalog.removals import Removals
from difyd.catalog.turns import Turns
from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.interfaces import ILauncher
from difyd.store.database import Database


@frozen
class Started:
    """The answer to an install or upgrade request."""

    task_id: str
    """"" when nothing was to do."""

    def to_json(self) -> bytes:
        raise NotImplementedError


@define(eq=False)
class Installs(Service):
    """
    One job for each plugin of a request; all run at once, bounded by the launcher.

    Stopping cancels them and marks their tasks as failed, except what had succeeded.
    """

    _clock: IReactorTime
    _database: Database
    _packages: Packages
    _installations: Installations
    _launcher: ILauncher
    _turns: Turns
    _removals: Removals
    _limit: float
    """Seconds that one job may take (`PLUGIN_INSTALL_TIMEOUT`)."""

    async def install(self, tenant: str, identifiers: Sequence[PluginIdentifier], source: str, metas: Sequence[Mapping[str, Any]]) -> Started:
        """
        Begin to install what the tenant has not got in any version.

        Raises BadRequest (number of metas), InternalError (a declaration that was never uploaded); nothing is begun then.
        """
        raise NotImplementedError

    async def upgrade(
        self, tenant: str, original: PluginIdentifier, new: PluginIdentifier, source: str, meta: Mapping[str, Any]
    ) -> Started:
        """
        Switch the tenant to another version, at once when some tenant uses it already, else when it is up.

        Raises BadRequest (same identifier, other plugin), NotFound (the tenant does not have `original`).
        """
        raise NotImplementedError
