"""
A database for tests of repositories.

The tests themselves are contracts: mix-ins that `SQLiteCase` turns into TestCases here, and a server's case in `tests/integration`.
"""

import functools
import tempfile
import threading
from pathlib import Path

import msgspec
from sqlalchemy import event
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.store.database import connect, declarations, installations, schema
from difyd.store.database.engine import Database
from tests.store.inline import inline_threads

TENANT = "6f0d2c6e-0d5a-4b52-8f1b-1f3f5c1f9d10"
OTHER = "7f7b7c8e-9a51-4a0c-8d0e-1f2f3a4b5c6d"
NOBODY = "00000000-0000-7000-8000-000000000000"


def plugin(name: str = "weather", version: str = "1.0.0", author: str = "acme", checksum: str = "a" * 64) -> PluginIdentifier:
    return PluginIdentifier.parse(f"{author}/{name}:{version}@{checksum}")


WEATHER, WEATHER_2 = plugin(), plugin(version="2.0.0")


def declared(identifier: PluginIdentifier, *kinds: str, **more: object) -> Declaration:
    """A declaration with a provider of each kind (a tool when none is named), called after the plugin."""
    parts: dict[str, object] = {}
    for kind in kinds or ("tool",):
        provider = {"provider": identifier.name} if kind == "model" else {"identity": {"name": identifier.name}}
        parts[kind] = {"settings": [], "endpoints": []} if kind == "endpoint" else provider
    about = {"version": identifier.version, "author": identifier.author, "name": identifier.name}
    return Declaration.decode(msgspec.json.encode({**about, **parts, **more}))


class DatabaseCase:
    """Each test has a database without rows; transactions run at once, and their time is `self.time`."""

    def setUp(self) -> None:
        self.time = 1_772_352_904.12
        self.engine = self.make_engine()
        self.database = self.open()

    def make_engine(self):
        raise NotImplementedError

    def open(self) -> Database:
        """Another opening of the same database, on the same connections."""
        database = Database(self.engine, readers=inline_threads(), writers=inline_threads(), now=lambda: self.time)
        self.successResultOf(database.startService())
        self.addCleanup(database.stopService)
        return database

    def do(self, work, *args, **kwargs):
        """Run a transaction; a later one has a later time."""
        self.time += 1
        return self.successResultOf(Deferred.fromCoroutine(self.database.run(work, *args, **kwargs)))

    def read(self, work, *args, **kwargs):
        return self.successResultOf(Deferred.fromCoroutine(self.database.read(work, *args, **kwargs)))

    def refused(self, kind, work, *args, **kwargs):
        return self.failureResultOf(Deferred.fromCoroutine(self.database.run(work, *args, **kwargs)), kind).value

    def rows(self, table, *columns: str) -> list[tuple]:
        """What is in a table, in the order of its making."""
        chosen = [table.c[name] for name in columns]
        order = [table.c.created_at, table.c.id] if "created_at" in table.c else []
        return self.read(
            lambda transaction: [
                tuple(row) for row in transaction.connection.execute(table.select().order_by(*order).with_only_columns(*chosen))
            ]
        )

    def upload(self, identifier: PluginIdentifier, *kinds: str, **more: object) -> Declaration:
        declaration = declared(identifier, *kinds, **more)
        self.do(declarations.add_blocking, identifier, declaration.text)
        return declaration

    def install(self, identifier: PluginIdentifier, *kinds: str, tenant: str = TENANT, **more: object):
        """Upload and install."""
        declaration = self.upload(identifier, *kinds, **more)
        return self.do(installations.install_blocking, tenant, identifier, declaration, runtime=RuntimeType.LOCAL, source="package")

    def at_once(self, *works):
        """
        Run functions of a Database on threads of their own, all at the same time; their results, or what they raised, in order.

        Each has its own opening of the database, so nothing but the database itself keeps them apart.
        """
        databases = [self.open() for _ in works]
        return self.together(*[functools.partial(work, database) for work, database in zip(works, databases, strict=True)])

    def together(self, *works):
        """The same for functions of nothing."""
        results: list[object] = [None] * len(works)
        ready = threading.Barrier(len(works))

        def run(position: int) -> None:
            ready.wait(20)
            try:
                results[position] = works[position]()
            except Exception as why:
                results[position] = why

        threads = [threading.Thread(target=run, args=(position,)) for position in range(len(works))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def transaction(self, work, *args, **kwargs):
        """For `at_once`: one transaction."""

        def run(database: Database):
            done: list[object] = []
            Deferred.fromCoroutine(database.run(work, *args, **kwargs)).addBoth(done.append)
            return done[0] if not hasattr(done[0], "value") else done[0].value

        return run


@functools.cache
def _empty_database() -> bytes:
    """A database file with all tables: making them anew would take most of every test's time."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "x.db"
        engine = connect.sqlite_engine(path, 1)
        schema.prepare_blocking(engine, migrate=True)
        engine.dispose()
        return path.read_bytes()


class SQLiteCase(DatabaseCase, SynchronousTestCase):
    def make_engine(self):
        directory = Path(self.mktemp())
        directory.mkdir()
        path = directory / "dify_plugin.db"
        path.write_bytes(_empty_database())
        engine = connect.sqlite_engine(path, 10)
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF").close())  # no test pulls the plug
        return engine
