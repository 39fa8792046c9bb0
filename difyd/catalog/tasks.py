"""Install tasks: the records that a console polls (http-api 13.5, 13.6; state-and-cluster 6)."""

from attrs import define

from difyd.store.database import Database


@define(eq=False)
class Tasks:
    """Reading and deleting tasks; only `installs` and the monitor change them."""

    _database: Database

    async def list(self, tenant: str, page: int, page_size: int) -> bytes:
        """The JSON list of the tenant's tasks, newest first."""
        raise NotImplementedError

    async def get(self, tenant: str, task: str) -> bytes:
        """The JSON of one task. Raises NotFound."""
        raise NotImplementedError

    async def delete(self, tenant: str, task: str) -> None:
        """Also when there is none. Its jobs go on, their updates find no row."""
        raise NotImplementedError

    async def delete_all(self, tenant: str) -> None:
        raise NotImplementedError

    async def delete_entry(self, tenant: str, task: str, identifier: str) -> None:
        """Remove the entries of one plugin, and the task with the last one that has not succeeded. Also when there is none."""
        raise NotImplementedError
