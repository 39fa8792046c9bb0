"""
The small data that plugins keep: values under keys, per tenant and plugin id, in the blob store (backwards-invocation 8).

Check, write and count happen in one transaction that holds the pair's row, so the quota is exact however many calls set at once, and a
refused value has not touched the old one.
"""

from difyd.errors import BadRequest
from difyd.store.blobs import IObjects
from difyd.store.database.engine import Database
from difyd.store.threads import Threads


class QuotaExceeded(BadRequest):
    """The value would take the plugin's data beyond what it may keep; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("allocated size is greater than max storage size")


def clean_key(key: str) -> str:
    """The key without `//`, `.` and resolvable `..`, relative. Raises BadKey for one that leads outside, or holds `..` or a backslash."""
    raise NotImplementedError


class PluginData:
    """One thread hop per operation. `area` is `PERSISTENCE_STORAGE_PATH`."""

    def __init__(self, database: Database, objects: IObjects, threads: Threads, area: str) -> None:
        raise NotImplementedError

    async def get(self, tenant: str, plugin_id: str, key: str) -> bytes:
        """Raises BlobMissing, BadKey, StorageFailed."""
        raise NotImplementedError

    async def set(self, tenant: str, plugin_id: str, key: str, value: bytes, limit: int) -> None:
        """
        Store `value` as long as all values of the pair together stay within `limit` bytes; a value that does not grow always fits.

        Raises QuotaExceeded, BadKey, BadRequest for a key of more than 256 bytes, StorageFailed.
        """
        raise NotImplementedError

    async def delete(self, tenant: str, plugin_id: str, key: str) -> None:
        """Raises BlobMissing when there is nothing, BadKey, StorageFailed."""
        raise NotImplementedError

    async def exists(self, tenant: str, plugin_id: str, key: str) -> bool:
        raise NotImplementedError
