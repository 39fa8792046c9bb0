"""Uninstalling (http-api 13.7; state-and-cluster 5.7)."""

from attrs import define

from difyd.catalog.installations import Installations
from difyd.catalog.removals import Removals
from difyd.store.database import Database


@define(eq=False)
class Uninstalls:
    """Takes a plugin from a tenant; the process stops afterwards, when it was the last one."""

    _database: Database
    _installations: Installations
    _removals: Removals

    async def uninstall(self, tenant: str, installation: str) -> None:
        """Returns after the transaction, also when the tenant has no such installation."""
        raise NotImplementedError
