"""Install tasks: the records that a console polls (http-api 13.5, 13.6; state-and-cluster 6)."""

import msgspec
from attrs import define

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import NotFound
from difyd.store.database import tasks
from difyd.store.database.engine import Database


@define(eq=False)
class Tasks:
    """Reading and deleting tasks. Their jobs run on whatever is deleted; they then find nothing to update."""

    _database: Database

    async def list(self, tenant: str, page: int, page_size: int) -> bytes:
        """The JSON list of the tenant's tasks, newest first."""
        return msgspec.json.encode(await self._database.read(tasks.list_blocking, tenant, page, page_size))

    async def get(self, tenant: str, task: str) -> bytes:
        """The JSON of one task. Raises NotFound."""
        found = await self._database.read(tasks.get_blocking, tenant, task)
        if found is None:
            raise NotFound("record not found")
        return msgspec.json.encode(found)

    async def delete(self, tenant: str, task: str) -> None:
        """Also when there is none."""
        await self._database.run(tasks.delete_blocking, tenant, task)

    async def delete_all(self, tenant: str) -> None:
        await self._database.run(tasks.delete_all_blocking, tenant)

    async def delete_entry(self, tenant: str, task: str, identifier: PluginIdentifier) -> None:
        """Remove the entries of one plugin, and the task with the last one that has not succeeded. Also when there is none."""
        await self._database.run(tasks.delete_entry_blocking, tenant, task, identifier)
