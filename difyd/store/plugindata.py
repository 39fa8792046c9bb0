"""
The small data that plugins keep: values under keys, per tenant and plugin id, in the blob store (backwards-invocation 8).

Check, write and count happen in one transaction that holds the pair's row, so the quota is exact however many calls set at once, and a
refused value has not touched the old one. A value appears whole or not at all, and whoever reads it after the answer gets it. A power
failure may bring values of the last seconds back to what they were, and their count likewise: waiting for the disk to have the directory and
the journal as well would cost every value twice as much. The count may also be older when the database fails in the very moment of the commit.
"""

import posixpath
from typing import Final

from attrs import Factory, define, field

from difyd.errors import BadRequest
from difyd.store.blobs import BadKey, BlobMissing, Counted, IBlobs, IObjects, check_key
from difyd.store.database import storages
from difyd.store.database.engine import Database, Transaction

LONGEST_KEY: Final = 256
"""Bytes of a key as the plugin gave it."""


class QuotaExceeded(BadRequest):
    """The value would take the plugin's data beyond what it may keep; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("allocated size is greater than max storage size")


class KeyTooLong(BadRequest):
    """The wire's text; a key of 256 bytes is allowed in spite of it."""

    def __init__(self) -> None:
        super().__init__("key length must be less than 256 characters")


def clean_key(key: str) -> str:
    """
    The key without `//`, `.` and resolvable `..`, relative: `/a`, `./a` and `b/../a` are `a` (backwards-invocation 8.2).

    Raises BadKey for one that leads outside, still holds `..` or a backslash, or is nothing.
    """
    rooted = "/" if key.startswith("/") else ""
    clean = posixpath.normpath(rooted + key.lstrip("/")).lstrip("/")
    if ".." in clean:
        raise BadKey
    return check_key(clean)


@define(eq=False)
class PluginData:
    """One thread hop per operation."""

    _database: Database
    _blobs: IBlobs
    _objects: IObjects
    """Where `_blobs` keeps them, for use inside a transaction."""
    _area: str
    """`PERSISTENCE_STORAGE_PATH`"""
    _most: int
    """`PERSISTENCE_STORAGE_MAX_SIZE`: bytes of one plugin's data for one tenant, whatever its manifest says."""
    _counted: Counted = field(default=Factory(lambda self: Counted(self._objects.kind), takes_self=True))

    async def get(self, tenant: str, plugin_id: str, key: str) -> bytes:
        """Raises BlobMissing, BadKey, KeyTooLong, StorageFailed."""
        return await self._blobs.read(self._place(tenant, plugin_id, key))

    async def set(self, tenant: str, plugin_id: str, key: str, value: bytes, limit: int) -> None:
        """
        Store `value` as long as all values of the pair together stay within `limit` bytes; a value that does not grow always fits.

        Raises QuotaExceeded, BadKey, KeyTooLong, UnfitKey, StorageFailed, DatabaseFailed.
        """
        place = self._place(tenant, plugin_id, key)
        set_ = self._database.run_unsynced(self._set_blocking, tenant, plugin_id, place, value, min(limit, self._most))
        await self._counted.run("write", set_)

    async def delete(self, tenant: str, plugin_id: str, key: str) -> None:
        """Raises BlobMissing when there is nothing, BadKey, KeyTooLong, StorageFailed, DatabaseFailed."""
        place = self._place(tenant, plugin_id, key)
        await self._counted.run("delete", self._database.run_unsynced(self._delete_blocking, tenant, plugin_id, place))

    async def exists(self, tenant: str, plugin_id: str, key: str) -> bool:
        """Raises BadKey, KeyTooLong, StorageFailed."""
        return await self._blobs.exists(self._place(tenant, plugin_id, key))

    def _place(self, tenant: str, plugin_id: str, key: str) -> str:
        if len(key.encode(errors="replace")) > LONGEST_KEY:
            raise KeyTooLong
        return check_key(f"{self._area}/{tenant}/{plugin_id}/{clean_key(key)}")

    def _set_blocking(self, transaction: Transaction, tenant: str, plugin_id: str, place: str, value: bytes, limit: int) -> None:
        staged = self._objects.stage_blocking(place, value)  # the slow part, before the first statement begins the transaction
        try:
            before = self._size_blocking(place)
            already = len(value) - before
            counted = storages.try_add_blocking(transaction, tenant, plugin_id, already, limit)
            if not counted or self._size_blocking(place) != before:
                self._count_blocking(transaction, tenant, plugin_id, place, len(value), already if counted else 0, limit)
            staged.commit_blocking(lasting=False)
        except BaseException:
            staged.discard_blocking()
            raise

    def _count_blocking(self, transaction: Transaction, tenant: str, plugin_id: str, place: str, size: int, already: int, limit: int) -> None:
        """Count with a look at all rows, and at the value once they are locked; `already` was counted from a size that was not the last."""
        usage = storages.lock_blocking(transaction, tenant, plugin_id)
        difference = size - self._size_blocking(place)
        if difference > 0 and usage.size - already + difference > limit:
            raise QuotaExceeded
        storages.add_blocking(transaction, usage, difference - already)

    def _size_blocking(self, place: str) -> int:
        return self._objects.size_blocking(place) or 0

    def _delete_blocking(self, transaction: Transaction, tenant: str, plugin_id: str, place: str) -> None:
        usage = storages.lock_blocking(transaction, tenant, plugin_id)
        size = self._objects.size_blocking(place)
        if size is None or not self._objects.delete_blocking(place):
            raise BlobMissing(place)
        storages.add_blocking(transaction, usage, -size)
