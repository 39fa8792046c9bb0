"""The embedded database on the reactor's threads: life, order, and what happens under load."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import select
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from difyd.errors import ShuttingDown
from difyd.store.blobs import Blobs
from difyd.store.database import storages
from difyd.store.database.engine import Database
from difyd.store.database.tables import debug_keys
from difyd.store.local import LocalObjects
from difyd.store.plugindata import PluginData, QuotaExceeded
from difyd.store.threads import Threads

TENANT, PLUGIN = "6f0d2c6e-0d5a-4b52-8f1b-1f3f5c1f9d10", "acme/weather"


def count(transaction) -> int:
    """Add one to a number, the slow way."""
    number = transaction.connection.scalar(select(debug_keys.c.debug_key))
    if number is None:
        transaction.connection.execute(debug_keys.insert().values(tenant_id="t", debug_key="1", expires_at=transaction.moment))
        return 1
    transaction.connection.execute(debug_keys.update().values(debug_key=str(int(number) + 1)))
    return int(number) + 1


class EmbeddedTests(TestCase):
    timeout = 60

    async def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.database = Database.embedded(reactor, self.path / "dify_plugin.db")
        await self.database.startService()
        self.addCleanup(lambda: self.database.stopService())

    def at_once(self, *coroutines) -> Deferred:
        return gatherResults([Deferred.fromCoroutine(coroutine) for coroutine in coroutines], consumeErrors=True)

    async def test_one_writer(self) -> None:
        """Fifty transactions that read, think and write lose nothing, and come back in the order of their asking."""
        self.assertEqual(await self.at_once(*[self.database.run(count) for _ in range(50)]), list(range(1, 51)))

    async def test_readers_do_not_wait(self) -> None:
        """While a writer holds the database, readers get their answers."""
        begun, answered = threading.Event(), threading.Event()

        def write(transaction) -> bool:
            count(transaction)
            begun.set()
            return answered.wait(20)

        writing = Deferred.fromCoroutine(self.database.run(write))
        found = await self.database.read(lambda transaction: begun.wait(20) and transaction.connection.scalar(select(debug_keys.c.debug_key)))
        answered.set()
        self.assertEqual((found, await writing), (None, True))

    async def test_another_process(self) -> None:
        """Whoever else opens the file and closes it again, an operator with SQLite's own program, takes no journal away from the daemon."""
        await self.at_once(*[self.database.read(lambda _: time.sleep(0.05)) for _ in range(4)])  # several connections, made one by one
        await self.database.run(count)
        file = self.path / "dify_plugin.db"
        look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute(sys.argv[2]).fetchall()); c.close()"

        def seen() -> str:
            return subprocess.run(
                [sys.executable, "-c", look, file, "SELECT debug_key FROM difyd_debug_keys"], capture_output=True, text=True, check=True
            ).stdout.strip()

        self.assertEqual(seen(), "[('1',)]")
        self.assertTrue((self.path / "dify_plugin.db-wal").exists())
        await self.database.run(count)
        self.assertEqual(seen(), "[('2',)]")

    async def test_threads(self) -> None:
        """Threads are called after their purpose, and joined at the end."""
        names = await self.at_once(
            self.database.run(lambda _: threading.current_thread().name), self.database.read(lambda _: threading.current_thread().name)
        )
        self.assertIn("database-write", names[0])
        self.assertIn("database-read", names[1])
        await self.database.stopService()
        self.assertEqual([thread for thread in threading.enumerate() if "database" in thread.name], [])

    async def test_stop(self) -> None:
        """A stop waits for the transaction that runs and for those that wait; later ones are refused."""
        go = threading.Event()
        running = Deferred.fromCoroutine(self.database.run(lambda transaction: go.wait(20) and count(transaction)))
        waiting = Deferred.fromCoroutine(self.database.run(count))
        stopped = self.database.stopService()
        with self.assertRaises(ShuttingDown):
            await self.database.run(count)
        self.assertNoResult(stopped)
        go.set()
        await stopped
        self.assertEqual((await running, await waiting), (1, 2))
        self.assertFalse((self.path / "dify_plugin.db-wal").exists())

    async def test_cancelled(self) -> None:
        """Who gives up hears so at once; the transaction is finished all the same."""
        go = threading.Event()
        running = Deferred.fromCoroutine(self.database.run(lambda transaction: go.wait(20) and count(transaction)))
        running.addErrback(lambda failure: failure.type.__name__)
        running.cancel()
        self.assertEqual(await running, "CancelledError")
        go.set()
        self.assertEqual(await self.database.run(count), 2)

    async def test_quota(self) -> None:
        """Fifty values at the same time where ten fit: ten are stored and counted, forty refused, whatever the order."""
        objects = LocalObjects(self.path)
        blobs = Blobs(objects, Threads(reactor, ThreadPool(0, 4, "blobs")))
        await blobs.startService()
        self.addCleanup(blobs.stopService)
        data = PluginData(self.database, blobs, objects, "persistence", 1 << 20)

        async def attempt(number: int) -> bool:
            try:
                await data.set(TENANT, PLUGIN, f"k{number}", b"x" * 10, 100)
            except QuotaExceeded:
                return False
            return True

        self.assertEqual(sum(await self.at_once(*[attempt(number) for number in range(50)])), 10)
        self.assertEqual(await self.database.read(storages.size_blocking, TENANT, PLUGIN), 100)
        self.assertEqual(len(await blobs.list(f"persistence/{TENANT}")), 10)
