"""The small data of plugins: keys, quota, and that a refusal changes nothing."""

from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import StorageFailed
from difyd.store.blobs import BadKey, BlobMissing, Blobs, Counted, UnfitKey
from difyd.store.database import storages
from difyd.store.database.tables import tenant_storages
from difyd.store.local import LocalObjects
from difyd.store.plugindata import KeyTooLong, PluginData, QuotaExceeded, clean_key
from difyd.telemetry.metrics import NoMetrics
from tests.store.database.cases import OTHER, TENANT, DatabaseCase, SQLiteCase
from tests.store.inline import inline_threads

PLUGIN = "acme/weather"


class PluginDataContract(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.mktemp())
        self.objects = LocalObjects(self.root)
        self.blobs = Blobs(self.objects, inline_threads())
        self.successResultOf(self.blobs.startService())
        self.addCleanup(self.blobs.stopService)
        self.data = self.over(self.database)

    def over(self, database) -> PluginData:
        return PluginData(database, self.blobs, self.objects, "persistence", 1000)

    def now(self, coroutine):
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def fails(self, kind, coroutine):
        return self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value

    def set(self, key: str, value: bytes, limit: int = 500, tenant: str = TENANT, plugin_id: str = PLUGIN) -> None:
        self.now(self.data.set(tenant, plugin_id, key, value, limit))

    def get(self, key: str) -> bytes:
        return self.now(self.data.get(TENANT, PLUGIN, key))

    def counted(self, tenant: str = TENANT, plugin_id: str = PLUGIN) -> int:
        return self.read(storages.size_blocking, tenant, plugin_id)

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def test_kept(self) -> None:
        """A value comes back; it lies where the reference would look for it."""
        self.set("a/state.json", b"\0\xff")
        self.assertEqual(self.get("a/state.json"), b"\0\xff")
        self.assertEqual(self.files(), {f"persistence/{TENANT}/acme/weather/a/state.json": b"\0\xff"})
        self.assertTrue(self.now(self.data.exists(TENANT, PLUGIN, "a/state.json")))
        self.assertEqual(self.counted(), 2)

    def test_apart(self) -> None:
        """Tenants and plugins do not see each other's values, and do not count for each other."""
        self.set("k", b"1", limit=1)
        self.set("k", b"2", limit=1, tenant=OTHER)
        self.set("k", b"3", limit=1, plugin_id="acme/maps")
        self.assertEqual(self.get("k"), b"1")
        self.assertEqual((self.counted(OTHER), self.counted(plugin_id="acme/maps")), (1, 1))

    def test_missing(self) -> None:
        """What is not there cannot be read or deleted, and does not exist; nothing is counted."""
        self.fails(BlobMissing, self.data.get(TENANT, PLUGIN, "k"))
        self.fails(BlobMissing, self.data.delete(TENANT, PLUGIN, "k"))
        self.assertFalse(self.now(self.data.exists(TENANT, PLUGIN, "k")))
        self.assertEqual(self.counted(), 0)

    def test_replaced(self) -> None:
        """A value counts as what it is now."""
        for value in (b"x" * 300, b"", b"x" * 500, b"x"):
            self.set("k", value)
            self.assertEqual((self.get("k"), self.counted()), (value, len(value)))

    def test_deleted(self) -> None:
        """A deleted value makes room."""
        self.set("k", b"x" * 500)
        self.now(self.data.delete(TENANT, PLUGIN, "k"))
        self.assertEqual((self.counted(), self.files()), (0, {}))
        self.set("other", b"x" * 500)

    def test_over_quota(self) -> None:
        """A refused value has not touched the old one, its size, or the disk."""
        self.set("k", b"old")
        self.set("other", b"x" * 497)
        before = self.files()
        for key, value in (("k", b"four"), ("new", b"x"), ("new", b"x" * 501)):
            why = self.fails(QuotaExceeded, self.data.set(TENANT, PLUGIN, key, value, 500))
            self.assertEqual(str(why), "allocated size is greater than max storage size")
        self.assertEqual((self.files(), self.counted()), (before, 500))

    def test_lowered_quota(self) -> None:
        """When the limit has become smaller values can shrink, but not grow."""
        self.set("k", b"x" * 300)
        self.set("k", b"x" * 200, limit=100)
        self.set("k", b"y" * 200, limit=100)
        self.fails(QuotaExceeded, self.data.set(TENANT, PLUGIN, "k", b"x" * 201, 100))
        self.assertEqual(self.get("k"), b"y" * 200)

    def test_limit_of_the_daemon(self) -> None:
        """Whatever the manifest asks for, the daemon's own limit holds."""
        self.set("k", b"x" * 1000, limit=10**9)
        self.fails(QuotaExceeded, self.data.set(TENANT, PLUGIN, "k", b"x" * 1001, 10**9))

    def test_aliases(self) -> None:
        """All spellings of a key are one value and count once."""
        for spelling in ("b/a", "/b/a", "./b//a", "b/x/../a", "/../b/a"):
            self.set(spelling, spelling.encode())
        self.assertEqual((self.get("b/a"), self.counted(), len(self.files())), (b"/../b/a", 7, 1))

    def test_bad_keys(self) -> None:
        """No operation takes a key that leads outside, or that is nothing."""
        for key in ("../x", "a/../../x", "a\\b", "v1..v2", "", "/", ".", "a/..", "a\0b"):
            for attempt in (
                self.data.get(TENANT, PLUGIN, key),
                self.data.set(TENANT, PLUGIN, key, b"", 500),
                self.data.delete(TENANT, PLUGIN, key),
                self.data.exists(TENANT, PLUGIN, key),
            ):
                self.assertEqual(str(self.fails(BadKey, attempt)), "invalid key: path traversal attempt detected")
        self.assertEqual(self.files(), {})

    def test_long_keys(self) -> None:
        """256 bytes are allowed, as the plugin spells them; one more is not, for none of the operations."""
        longest = "/".join(["x" * 31] * 8) + "y"
        self.assertEqual(len(longest), 256)
        self.set(longest, b"1")
        for key in (longest + "y", "天" * 86, "./" * 130 + "x"):
            for attempt in (
                self.data.set(TENANT, PLUGIN, key, b"", 500),
                self.data.get(TENANT, PLUGIN, key),
                self.data.delete(TENANT, PLUGIN, key),
                self.data.exists(TENANT, PLUGIN, key),
            ):
                self.assertIn("256", str(self.fails(KeyTooLong, attempt)))

    def test_long_names(self) -> None:
        """A part of a key that no file can be called by: nothing is there, and nothing can be."""
        key = "x" * 256
        self.assertIn("255 bytes", str(self.fails(UnfitKey, self.data.set(TENANT, PLUGIN, key, b"22", 500))))
        self.assertFalse(self.now(self.data.exists(TENANT, PLUGIN, key)))
        self.fails(BlobMissing, self.data.get(TENANT, PLUGIN, key))
        self.fails(BlobMissing, self.data.delete(TENANT, PLUGIN, key))
        self.assertEqual((self.counted(), self.files()), (0, {}))

    def test_below_values(self) -> None:
        """No value has values below it; but a key is free again when what was below it is deleted."""
        self.set("a", b"1")
        self.set("d/e/f", b"1")
        before = self.files()
        for key in ("a/b", "d", "d/e"):
            self.assertIn("below it", str(self.fails(UnfitKey, self.data.set(TENANT, PLUGIN, key, b"22", 500))))
        self.assertEqual((self.counted(), self.files()), (2, before))
        self.now(self.data.delete(TENANT, PLUGIN, "d/e/f"))
        self.set("d", b"333")
        self.assertEqual((self.get("d"), self.counted()), (b"333", 4))

    def test_broken_store(self) -> None:
        """What cannot be stored is not counted."""
        self.set("a", b"1")

        class Broken(LocalObjects):
            def stage_blocking(self, key: str, data: bytes):
                raise StorageFailed("the disk is full")

        data = PluginData(self.database, self.blobs, Broken(self.root), "persistence", 1000)
        self.fails(StorageFailed, data.set(TENANT, PLUGIN, "a", b"22", 500))
        self.assertEqual((self.counted(), self.get("a")), (1, b"1"))

    def test_counted(self) -> None:
        """What is kept and deleted counts among the operations on the storage; a refusal is none of its errors."""
        told = []

        class Metrics(NoMetrics):
            def stored(self, operation: str, storage_type: str):
                return type("Once", (), {"ended": lambda _, status, seconds: told.append((operation, storage_type, status))})()

        data = PluginData(self.database, self.blobs, self.objects, "persistence", 1000, Counted("local", Metrics()))
        self.now(data.set(TENANT, PLUGIN, "k", b"1", 5))
        self.fails(QuotaExceeded, data.set(TENANT, PLUGIN, "k", b"x" * 6, 5))
        self.now(data.delete(TENANT, PLUGIN, "k"))
        self.fails(BlobMissing, data.delete(TENANT, PLUGIN, "k"))
        expected = ("write", "success"), ("write", "refused"), ("delete", "success"), ("delete", "missing")
        self.assertEqual(told, [(operation, "local", status) for operation, status in expected])

    def test_quota_at_the_same_time(self) -> None:
        """Fifty values at the same time where ten fit: ten are stored and counted, forty refused."""

        def set_several(first: int):
            def work(database):
                data, results = self.over(database), []
                for number in range(first, first + 10):
                    Deferred.fromCoroutine(data.set(TENANT, PLUGIN, f"k{number}", b"x" * 10, 100)).addBoth(results.append)
                return results

            return work

        results = list(chain.from_iterable(self.at_once(*[set_several(first) for first in range(0, 50, 10)])))
        self.assertEqual([result is None for result in results].count(True), 10)
        self.assertTrue(all(result is None or result.check(QuotaExceeded) for result in results))
        self.assertEqual((len(self.files()), self.counted()), (10, 100))
        self.assertEqual(len(self.rows(tenant_storages, "id")), 1)

    def test_rows_of_the_reference(self) -> None:
        """Where the reference has counted, in one row or in several, we go on counting."""

        def rows(transaction, *sizes: int) -> None:
            for size in sizes:
                values = {"tenant_id": TENANT, "plugin_id": PLUGIN, "size": size}
                transaction.connection.execute(tenant_storages.insert().values(**transaction.stamps(), **values))

        self.do(rows, 100)
        self.set("k", b"x" * 50, limit=200)
        self.assertEqual(self.counted(), 150)
        self.do(rows, 40)
        self.set("k", b"x" * 55, limit=200)
        self.set("other", b"x" * 5, limit=200)
        self.assertEqual(self.counted(), 200)
        self.fails(QuotaExceeded, self.data.set(TENANT, PLUGIN, "other", b"x" * 6, 200))
        self.now(self.data.delete(TENANT, PLUGIN, "k"))
        self.assertEqual(self.counted(), 145)

    def test_changed_before_the_lock(self) -> None:
        """A value that somebody replaces between our look at its size and our turn is counted as it is then."""
        self.set("k", b"x" * 10)

        def attempt(value: bytes, meanwhile: bytes):
            """Somebody of another node is faster: the first look at the size is older than what they do."""
            others, looks = self.over(self.open()), []

            class Late(LocalObjects):
                def size_blocking(self, key: str) -> int | None:
                    size = super().size_blocking(key)
                    if not looks:
                        looks.append(key)
                        done = Deferred.fromCoroutine(others.set(TENANT, PLUGIN, "k", meanwhile, 500))
                        done.addErrback(looks.append)
                    return size

            data = PluginData(self.database, self.blobs, Late(self.root), "persistence", 1000)
            return data.set(TENANT, PLUGIN, "k", value, 500)

        self.now(attempt(b"y" * 100, meanwhile=b"z" * 300))
        self.assertEqual((self.get("k"), self.counted()), (b"y" * 100, 100))
        self.set("rest", b"x" * 390)
        self.now(attempt(b"y" * 110, meanwhile=b"z" * 5))
        self.assertEqual((self.get("k"), self.counted()), (b"y" * 110, 500))
        self.fails(QuotaExceeded, attempt(b"y" * 111, meanwhile=b"z"))
        self.assertEqual((self.get("k"), self.counted()), (b"z", 391))

    def test_one_key_at_the_same_time(self) -> None:
        """Writers of one key end with one value, counted as it is."""

        def work(size: int):
            def run(database):
                return Deferred.fromCoroutine(self.over(database).set(TENANT, PLUGIN, "k", b"x" * size, 500))

            return run

        self.at_once(*[work(size) for size in range(10, 90, 10)])
        self.assertEqual(self.counted(), len(self.get("k")))


class SQLitePluginDataTests(PluginDataContract, SQLiteCase):
    pass


class CleanKeyTests(SynchronousTestCase):
    @given(st.text(alphabet="ab./\\", max_size=12))
    def test_settled(self, key: str) -> None:
        """A clean key is relative, has no way out, and is clean."""
        try:
            clean = clean_key(key)
        except BadKey:
            return
        self.assertEqual(clean_key(clean), clean)
        self.assertFalse(clean.startswith("/") or ".." in clean or "\\" in clean)
