"""Debugging keys: one per tenant, for two hours from the last time that somebody asked."""

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.errors import InternalError
from difyd.runtime.debug.interfaces import IDebugKeys
from difyd.runtime.debug.keys import SharedKeys, StoredKeys, decoded, encoded
from difyd.store.cache.memory import MemoryCache, MemoryLeases
from difyd.store.database import connect
from difyd.store.database.engine import Database
from tests.store.inline import inline_threads

T = TypeVar("T")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HOUR = 3600.0
BY_TENANT, BY_KEY = "{remote:key:manager}:id2key:", "{remote:key:manager}:key2id:"


class KeysContract:
    """What every IDebugKeys promises."""

    clock: Clock

    def make_keys(self) -> IDebugKeys:
        raise NotImplementedError

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.keys = self.make_keys()

    def got(self: SynchronousTestCase, work: Awaitable[T]) -> T:  # type: ignore[misc]
        return self.successResultOf(Deferred.fromCoroutine(work))  # type: ignore[arg-type]

    def key(self, tenant: str = "t1") -> str:
        return self.got(self.keys.key_of(tenant))

    def tenant(self, key: str) -> str | None:
        return self.got(self.keys.tenant_of(key))

    def test_interface(self) -> None:
        """It plays the role."""
        self.assertTrue(verifyObject(IDebugKeys, self.keys))

    def test_one_per_tenant(self) -> None:
        """A tenant has one key, a random UUID, and is found by exactly that."""
        one, other = self.key(), self.key("t2")
        self.assertEqual(self.key(), one)
        self.assertTrue(UUID4.fullmatch(one) and UUID4.fullmatch(other))
        self.assertEqual((self.tenant(one), self.tenant(other)), ("t1", "t2"))
        for wrong in (one.upper(), one + " ", one[:-1], "", "t1", "*"):
            self.assertIsNone(self.tenant(wrong))

    def test_life(self) -> None:
        """Asking for it prolongs its life, connecting does not."""
        key = self.key()
        self.clock.advance(1.9 * HOUR)
        self.assertEqual(self.key(), key)
        self.clock.advance(1.9 * HOUR)
        self.assertEqual(self.tenant(key), "t1")
        self.clock.advance(0.2 * HOUR)
        self.assertIsNone(self.tenant(key))
        self.assertNotEqual(self.key(), key)


class StoredKeysTests(KeysContract, SynchronousTestCase):
    def make_keys(self) -> IDebugKeys:
        database = Database(
            connect.sqlite_engine(Path(self.mktemp()), 2), readers=inline_threads(), writers=inline_threads(), now=self.clock.seconds
        )
        self.successResultOf(database.startService())
        self.addCleanup(lambda: self.successResultOf(database.stopService()))
        return StoredKeys(database)


class SharedKeysTests(KeysContract, SynchronousTestCase):
    def make_keys(self) -> IDebugKeys:
        self.cache, self.leases = MemoryCache(self.clock), MemoryLeases(self.clock)
        return SharedKeys(self.clock, self.cache, self.leases)

    def test_form(self) -> None:
        """Names and values are those of the reference, so that either daemon finds the other's keys."""
        key = self.key()
        self.assertEqual(self.got(self.cache.get(BY_TENANT + "t1")), b"\xa1\x63key\x78\x24" + key.encode())
        self.assertEqual(self.got(self.cache.get(BY_KEY + key)), b"\xa1\x69tenant_id\x62t1")

    def test_lost_half(self) -> None:
        """A key whose other half has gone from the cache works again once it is asked for."""
        key = self.key()
        self.got(self.cache.delete(BY_KEY + key))
        self.assertIsNone(self.tenant(key))
        self.assertEqual(self.key(), key)
        self.assertEqual(self.tenant(key), "t1")

    def test_race(self) -> None:
        """While another node makes the first key it is waited for, and taken."""
        lease = self.got(self.leases.acquire("debugging-key:t1", 5.0))
        asking = Deferred.fromCoroutine(self.keys.key_of("t1"))
        self.assertNoResult(asking)
        self.got(self.cache.set(BY_TENANT + "t1", encoded("key", "theirs"), HOUR))
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(asking), "theirs")
        self.assertEqual(self.tenant("theirs"), "t1")
        self.got(lease.release())

    def test_node_that_dies(self) -> None:
        """A node that died while it made the key is waited for no longer than its lease."""
        self.got(self.leases.acquire("debugging-key:t1", 4.0))
        asking = Deferred.fromCoroutine(self.keys.key_of("t1"))
        self.clock.pump([0.1] * 42)
        self.assertTrue(UUID4.fullmatch(self.successResultOf(asking)))

    def test_never_made(self) -> None:
        """There is an end to the patience."""
        self.got(self.leases.acquire("debugging-key:t1", 1000.0))
        asking = Deferred.fromCoroutine(self.keys.key_of("t1"))
        self.clock.pump([0.1] * 51)
        self.failureResultOf(asking, InternalError)

    def test_foreign_values(self) -> None:
        """A value that is none of ours is nobody's key."""
        for value in (b"", b"\xa1", b"t1", b"\xa1\x63key\x78\x24short", b"\xa1\x69tenant_id\x60", b"\xa1\x69tenant_id\xf6"):
            self.got(self.cache.set(BY_KEY + "k", value, HOUR))
            self.assertIsNone(self.tenant("k"))

    @given(st.text(max_size=300), st.integers(0, 70000))
    def test_round_trip(self, text: str, length: int) -> None:
        """Texts of any length come out as they went in."""
        text = (text * (length // max(1, len(text)) + 1))[:length]
        try:
            data = encoded("key", text)
        except UnicodeEncodeError:
            return  # a lone surrogate is no text
        self.assertEqual(decoded(data, "key"), text)
        self.assertIsNone(decoded(data + b"x", "key"))
        self.assertIsNone(decoded(data, "tenant_id"))
