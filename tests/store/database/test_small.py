"""Readmes, sizes of plugin data, debugging keys."""

import uuid

from sqlalchemy import insert, text

from difyd.store.database import debugkeys, readmes, storages
from difyd.store.database.engine import DatabaseFailed
from difyd.store.database.tables import plugin_readme_records, tenant_storages
from tests.store.database.cases import OTHER, TENANT, WEATHER, WEATHER_2, DatabaseCase, SQLiteCase


class ReadmesContract(DatabaseCase):
    def test_kept(self) -> None:
        """Contents come back by language, of their version alone."""
        contents = {"en_US": "# Weather", "zh_Hans": "# 天气"}
        self.do(readmes.add_blocking, WEATHER, contents)
        self.assertEqual(self.read(readmes.get_blocking, WEATHER), contents)
        self.assertEqual(self.read(readmes.get_blocking, WEATHER_2), {})

    def test_long_language(self) -> None:
        """What the column cannot hold is left out, from the first answer on; the rest is kept."""
        self.assertEqual(self.do(readmes.add_blocking, WEATHER, {"en_US": "a", "zh_Hantaaaaa": "b"}), {"en_US": "a"})
        self.assertEqual(self.read(readmes.get_blocking, WEATHER), {"en_US": "a"})

    def test_same_time(self) -> None:
        """First requests at the same time leave one row per language."""
        self.at_once(*[self.transaction(readmes.add_blocking, WEATHER, {"en_US": "a", "zh_Hans": "b"})] * 6)
        self.assertEqual(len(self.rows(plugin_readme_records, "id")), 2)


class StoragesContract(DatabaseCase):
    def add(self, difference: int, tenant: str = TENANT) -> int:
        def work(transaction) -> int:
            usage = storages.lock_blocking(transaction, tenant, "acme/weather")
            storages.add_blocking(transaction, usage, difference)
            return storages.size_blocking(transaction, tenant, "acme/weather")

        return self.do(work)

    def test_counted(self) -> None:
        """Bytes are counted per pair and never below nothing."""
        self.assertEqual(self.read(storages.size_blocking, TENANT, "acme/weather"), 0)
        self.assertEqual([self.add(10), self.add(5), self.add(-3), self.add(-100), self.add(4)], [10, 15, 12, 0, 4])
        self.assertEqual(self.add(1, OTHER), 1)
        self.assertEqual(
            self.rows(tenant_storages, "tenant_id", "plugin_id", "size"), [(TENANT, "acme/weather", 4), (OTHER, "acme/weather", 1)]
        )

    def test_locked_size(self) -> None:
        """Who holds the pair knows its size; asking makes the row, once."""
        self.assertEqual([self.do(storages.lock_blocking, TENANT, "acme/weather").size for _ in range(2)], [0, 0])
        self.add(7)
        self.assertEqual(self.do(storages.lock_blocking, TENANT, "acme/weather").size, 7)
        self.assertEqual(len(self.rows(tenant_storages, "id")), 1)

    def test_times(self) -> None:
        """Counting does not move `updated_at`."""
        self.add(1)
        before = self.rows(tenant_storages, "updated_at")
        self.add(1)
        self.assertEqual(self.rows(tenant_storages, "updated_at"), before)

    def test_duplicates(self) -> None:
        """Rows that the reference wrote twice count together, and are taken from in turn."""
        self.duplicate(3, 5)
        self.assertEqual(self.do(storages.lock_blocking, TENANT, "acme/weather").size, 8)
        self.assertEqual([self.add(-6), self.add(1), self.add(-9)], [2, 3, 0])
        self.assertEqual(len(self.rows(tenant_storages, "id")), 2)

    def test_try_add(self) -> None:
        """One statement counts where there is one row and growth stays within the limit; otherwise nothing has happened."""

        def attempt(difference: int, limit: int = 100) -> tuple[bool, int]:
            done = self.do(storages.try_add_blocking, TENANT, "acme/weather", difference, limit)
            return done, self.read(storages.size_blocking, TENANT, "acme/weather")

        self.assertEqual(attempt(1), (False, 0))  # no row
        self.add(0)
        self.assertEqual([attempt(100), attempt(1), attempt(0, 1)], [(True, 100), (False, 100), (True, 100)])
        self.assertEqual([attempt(-1, 1), attempt(-100, 1)], [(True, 99), (False, 99)])  # shrinking is always allowed, below nothing never
        self.duplicate(3, 5)
        self.assertEqual([attempt(1), attempt(-2)], [(False, 107), (False, 107)])

    def duplicate(self, *sizes: int) -> None:
        """Rows of the reference."""

        def work(transaction) -> None:
            for size in sizes:
                values = {"tenant_id": TENANT, "plugin_id": "acme/weather", "size": size}
                transaction.connection.execute(insert(tenant_storages).values(**transaction.stamps(), **values))

        self.do(work)

    def test_same_time(self) -> None:
        """Counts at the same time, of a pair that nobody has counted before, are all in one row."""

        def work(transaction) -> None:
            storages.add_blocking(transaction, storages.lock_blocking(transaction, TENANT, "acme/weather"), 1)

        self.at_once(*[self.transaction(work)] * 8)
        self.assertEqual(self.rows(tenant_storages, "size"), [(8,)])


class DebugKeysContract(DatabaseCase):
    def test_same_key(self) -> None:
        """A tenant gets one key, a random UUID, as long as it lives; another tenant another one."""
        key = self.do(debugkeys.get_or_create_blocking, TENANT, 7200)
        self.assertEqual(uuid.UUID(key).version, 4)
        self.assertEqual(self.do(debugkeys.get_or_create_blocking, TENANT, 7200), key)
        self.assertNotEqual(self.do(debugkeys.get_or_create_blocking, OTHER, 7200), key)
        self.assertEqual(self.read(debugkeys.tenant_blocking, key), TENANT)

    def test_life(self) -> None:
        """Asking for it prolongs its life, using it does not; after its death there is a new one."""
        key = self.do(debugkeys.get_or_create_blocking, TENANT, 100)
        self.time += 90
        self.do(debugkeys.get_or_create_blocking, TENANT, 100)
        self.time += 90
        self.assertEqual(self.read(debugkeys.tenant_blocking, key), TENANT)
        self.time += 20
        self.assertIsNone(self.read(debugkeys.tenant_blocking, key))
        self.assertNotEqual(self.do(debugkeys.get_or_create_blocking, TENANT, 100), key)
        self.assertIsNone(self.read(debugkeys.tenant_blocking, key))

    def test_unknown(self) -> None:
        """Nobody's key, nothing, and what is no key at all."""
        for key in ("4d3f0a52-6a6f-4a53-9d50-2a6f7f0b9a11", "", "x" * 500):
            self.assertIsNone(self.read(debugkeys.tenant_blocking, key))


class SQLiteReadmesTests(ReadmesContract, SQLiteCase):
    pass


class SQLiteStoragesTests(StoragesContract, SQLiteCase):
    def test_try_add_refused(self) -> None:
        """What the driver refuses is the database's failure, with the statement, and undoes the transaction."""

        def work(transaction) -> None:
            storages.lock_blocking(transaction, TENANT, "acme/weather")
            transaction.connection.execute(text("ALTER TABLE tenant_storages RENAME TO elsewhere"))
            storages.try_add_blocking(transaction, TENANT, "acme/weather", 1, 100)

        why = self.refused(DatabaseFailed, work)
        self.assertIn("UPDATE tenant_storages", why.statement)
        self.assertIn("no such table", str(why))
        self.assertEqual(self.rows(tenant_storages, "id"), [])


class SQLiteDebugKeysTests(DebugKeysContract, SQLiteCase):
    pass
