"""
Debugging keys: whose plugin is it that connects (debug-runtime 2)?

A key lives 120 minutes from the last time that somebody asked for it on the console; connecting does not prolong it. It is a secret, and
never logged. A daemon with Redis keeps keys there, under the names and in the form of the reference, so that keys handed out by either stay
valid when one replaces the other; a daemon without keeps them in its database, so that they survive a restart.
"""

import uuid
from typing import Final

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from difyd.errors import InternalError
from difyd.runtime.debug.interfaces import IDebugKeys
from difyd.store.cache.interfaces import ICache, ILease, ILeases
from difyd.store.database import debugkeys
from difyd.store.database.engine import Database

LIFETIME: Final = 120 * 60.0
"""Seconds."""
TURN: Final = 3.0
"""Seconds for which one node may make the first key of a tenant."""
ATTEMPTS: Final = 50
PAUSE: Final = 0.1
"""Seconds between two looks while somebody else makes it."""


@implementer(IDebugKeys)
@define(eq=False)
class StoredKeys:
    """Keys of a daemon that is alone, in its database."""

    _database: Database

    async def key_of(self, tenant: str) -> str:
        return await self._database.run(debugkeys.get_or_create_blocking, tenant, LIFETIME)

    async def tenant_of(self, key: str) -> str | None:
        return await self._database.read(debugkeys.tenant_blocking, key)


@implementer(IDebugKeys)
@define(eq=False)
class SharedKeys:
    """
    Keys of all nodes, in a shared cache: `id2key:<tenant>` → `{"key"}`, `key2id:<key>` → `{"tenant_id"}`, as CBOR.

    The braces in the names are literal: a cluster of Redis servers keeps both in one place.
    """

    _clock: IReactorTime
    _cache: ICache
    _leases: ILeases

    async def key_of(self, tenant: str) -> str:
        for _ in range(ATTEMPTS):
            key = await self._renewed(tenant)
            if key is not None:
                return key
            lease = await self._leases.acquire(f"debugging-key:{tenant}", TURN)
            if lease is not None:
                return await self._make(tenant, lease)
            await self._pause()
        raise InternalError("the debugging key could not be made: another node is about to, and does not finish")

    async def tenant_of(self, key: str) -> str | None:
        return decoded(await self._cache.get(_by_key(key)), "tenant_id") or None

    async def _renewed(self, tenant: str) -> str | None:
        """The key that there is, with a full life before it; its other half is written again should it have gone."""
        key = decoded(await self._cache.get(_by_tenant(tenant)), "key")
        if not key or not await self._cache.expire(_by_tenant(tenant), LIFETIME):
            return None
        if not await self._cache.expire(_by_key(key), LIFETIME):
            await self._cache.set(_by_key(key), encoded("tenant_id", tenant), LIFETIME)
        return key

    async def _make(self, tenant: str, lease: ILease) -> str:
        try:
            key = await self._renewed(tenant)  # somebody may have made it before it was our turn
            if key is None:
                key = str(uuid.uuid4())
                await self._cache.set(_by_key(key), encoded("tenant_id", tenant), LIFETIME)
                await self._cache.set(_by_tenant(tenant), encoded("key", key), LIFETIME)
            return key
        finally:
            await lease.release()

    def _pause(self) -> Deferred[None]:
        return deferLater(self._clock, PAUSE)


def _by_tenant(tenant: str) -> str:
    return "{remote:key:manager}:id2key:" + tenant


def _by_key(key: str) -> str:
    return "{remote:key:manager}:key2id:" + key


def encoded(name: str, text: str) -> bytes:
    """A CBOR map of one text to another."""
    return b"\xa1" + _text(name.encode()) + _text(text.encode())


def decoded(data: bytes | None, name: str) -> str | None:
    """The text under `name` in such a map; None when there is no such map, which is then somebody else's."""
    prefix = b"\xa1" + _text(name.encode())
    if data is None or not data.startswith(prefix):
        return None
    rest = data[len(prefix) :]
    for head in (1, 2, 3, 5):
        if _text(rest[head:]) == rest:
            return rest[head:].decode(errors="replace")
    return None


def _text(data: bytes) -> bytes:
    """A text string (RFC 8949, major type 3), its length in as few bytes as can be."""
    length = len(data)
    if length < 24:
        return bytes([0x60 + length]) + data
    code, width = (0x78, 1) if length < 1 << 8 else (0x79, 2) if length < 1 << 16 else (0x7A, 4)
    return bytes([code]) + length.to_bytes(width, "big") + data
