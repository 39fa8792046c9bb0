"""Transactions: what is kept, what is undone, what is tried again."""

import sqlite3
import threading
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred

from difyd.errors import ShuttingDown
from difyd.store.database.connect import sqlite_engine
from difyd.store.database.engine import ATTEMPTS, Database, DatabaseFailed
from difyd.store.database.tables import debug_keys
from tests.store.database.cases import DatabaseCase, SQLiteCase
from tests.store.inline import inline_threads


def add(transaction, tenant: str, key: str = "") -> None:
    transaction.connection.execute(insert(debug_keys).values(tenant_id=tenant, debug_key=key or tenant, expires_at=transaction.moment))


def tenants(transaction) -> list[str]:
    return sorted(transaction.connection.scalars(select(debug_keys.c.tenant_id)))


class Refused(Exception):
    pass


class DatabaseContract(DatabaseCase):
    def test_commits(self) -> None:
        """What a transaction wrote is there for the next one."""
        self.do(add, "a")
        self.assertEqual(self.read(tenants), ["a"])

    def test_commits_unsynced(self) -> None:
        """So does one that need not be on the disk."""
        self.successResultOf(Deferred.fromCoroutine(self.database.run_unsynced(add, "a")))
        self.assertEqual(self.read(tenants), ["a"])

    def test_rolls_back(self) -> None:
        """What work raises undoes all that it did, and comes out as it is."""

        def work(transaction) -> None:
            add(transaction, "a")
            raise Refused

        self.refused(Refused, work)
        self.assertEqual(self.read(tenants), [])

    def test_reading_keeps_nothing(self) -> None:
        """Work that only reads cannot change anything."""
        self.read(add, "a")
        self.assertEqual(self.read(tenants), [])

    def test_one_moment(self) -> None:
        """All rows of a transaction have one time, to the microsecond, and ids in the order of their making."""
        stamps = self.do(lambda transaction: [transaction.stamps() for _ in range(3)])
        self.assertEqual(len({stamp["created_at"] for stamp in stamps}), 1)
        self.assertEqual([stamp["id"] for stamp in stamps], sorted({stamp["id"] for stamp in stamps}))
        self.do(add, "a")
        (kept,) = self.rows(debug_keys, "expires_at")
        self.assertEqual(kept[0].timestamp(), self.time)

    def test_failure(self) -> None:
        """What the database refuses is our error with its words in one line, without the statement and its values."""
        self.do(add, "a", "secret")
        why = self.refused(DatabaseFailed, add, "b", "secret")
        self.assertTrue(str(why).startswith("database: "))
        self.assertNotIn("secret", str(why))
        self.assertNotIn("INSERT", str(why))
        self.assertNotIn("\n", str(why))

    def test_after_failure(self) -> None:
        """A failed transaction does not spoil the connection for the next one."""
        self.do(add, "a")
        for _ in range(20):
            self.refused(DatabaseFailed, add, "a")
        self.assertTrue(self.database.healthy)  # it has only said no
        self.do(add, "b")
        self.assertEqual(self.read(tenants), ["a", "b"])

    def test_one_state(self) -> None:
        """Work that reads sees one state of the database, whatever others commit meanwhile."""
        other = self.open()

        def work(transaction) -> tuple[list[str], list[str]]:
            before = tenants(transaction)
            self.successResultOf(Deferred.fromCoroutine(other.run(add, "a")))
            return before, tenants(transaction)

        self.assertEqual(self.read(work), ([], []))
        self.assertEqual(self.read(tenants), ["a"])

    def test_no_lost_update(self) -> None:
        """Transactions that read, think and write do so one after the other."""
        self.do(add, "0")

        def count(transaction) -> None:
            statement = select(debug_keys.c.debug_key).where(debug_keys.c.tenant_id == "0").with_for_update()
            number = int(transaction.connection.scalar(statement))
            transaction.connection.execute(debug_keys.update().values(debug_key=str(number + 1)))

        self.at_once(*[self.transaction(count) for _ in range(8)])
        self.assertEqual(self.rows(debug_keys, "debug_key"), [("8",)])

    def test_closed(self) -> None:
        """A closed database refuses work instead of opening itself again."""
        self.successResultOf(self.database.stopService())
        self.refused(ShuttingDown, tenants)


class SQLiteTests(DatabaseContract, SQLiteCase):
    def locked(self) -> OperationalError:
        """What the driver says when another process has the file."""
        other = sqlite3.connect(self.engine.url.database, timeout=0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as why:
            return OperationalError("BEGIN", None, why)
        finally:
            other.close()
        raise AssertionError("nobody holds the file")

    def test_tried_again(self) -> None:
        """A transaction that the database broke off for another one's sake is repeated from its start."""
        attempts = []

        def work(transaction) -> None:
            add(transaction, "a")
            attempts.append(len(attempts))
            if len(attempts) < ATTEMPTS:
                raise self.locked()

        self.do(work)
        self.assertEqual((attempts, self.read(tenants)), ([0, 1, 2], ["a"]))

    def test_given_up(self) -> None:
        """But not for ever."""
        attempts = []

        def work(transaction) -> None:
            add(transaction, "a")
            attempts.append(1)
            raise self.locked()

        self.assertIn("locked", str(self.refused(DatabaseFailed, work)))
        self.assertEqual(len(attempts), ATTEMPTS)
        self.assertFalse(self.database.healthy)
        self.assertEqual(self.read(tenants), [])
        self.assertFalse(self.database.healthy)  # from a full disk, too, one can read
        self.do(add, "a")
        self.assertTrue(self.database.healthy)

    def test_other_failures_are_not(self) -> None:
        """What will not get better is not repeated."""
        attempts = []

        def work(transaction) -> None:
            attempts.append(1)
            transaction.connection.exec_driver_sql("SELECT * FROM nowhere")

        self.assertEqual(str(self.refused(DatabaseFailed, work)), "database: no such table: nowhere")
        self.assertEqual(len(attempts), 1)

    def test_begins_late(self) -> None:
        """Work before the first statement holds nobody up: the lock is taken with that statement."""
        other = self.open()

        def work(transaction) -> None:
            self.successResultOf(Deferred.fromCoroutine(other.run(add, "a")))
            add(transaction, "b")

        self.do(work)
        self.assertEqual(self.read(tenants), ["a", "b"])

    def test_readers_and_the_writer(self) -> None:
        """A writer that has not committed yet holds no reader up."""

        def work(transaction) -> list[str]:
            add(transaction, "a")
            return self.read(tenants)

        self.assertEqual(self.do(work), [])

    def test_file(self) -> None:
        """The file and its journal are for their owner alone; what was committed survives a power failure; another's lock is waited for."""
        directory = Path(self.mktemp())
        engine = sqlite_engine(directory / "x.db", 1)
        self.addCleanup(engine.dispose)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE anything (id text)")
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        self.assertEqual(values, ["wal", 2, 1, 5000])
        modes = {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}
        self.assertEqual(modes, {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600})

    def test_no_database(self) -> None:
        """A file that is something else refuses the start, by its name."""
        path = Path(self.mktemp())
        path.write_bytes(b"something else " * 100)
        database = Database(sqlite_engine(path, 1), readers=inline_threads(), writers=inline_threads())
        why = str(self.failureResultOf(database.startService(), DatabaseFailed).value)
        self.assertIn("file is not a database", why)
        self.assertIn(str(path), why)
        self.successResultOf(database.stopService())

    def test_unsynced(self) -> None:
        """Counters do not wait for the disk; whatever comes next on the same connection does."""
        engine = sqlite_engine(Path(self.mktemp()), 1)
        database = Database(engine, readers=inline_threads(), writers=inline_threads())
        self.successResultOf(database.startService())
        self.addCleanup(database.stopService)

        def synchronous(transaction) -> int:
            return transaction.connection.exec_driver_sql("PRAGMA synchronous").scalar()

        for run, expected in ((database.run_unsynced, 1), (database.run, 2), (database.read, 2), (database.run_unsynced, 1)):
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(run(synchronous))), expected)

    def test_several_threads(self) -> None:
        """Connections may wander between threads."""
        threads = [threading.Thread(target=self.do, args=(add, str(number))) for number in range(4)]
        for thread in threads:
            thread.start()
            thread.join()
        self.assertEqual(len(self.read(tenants)), 4)
