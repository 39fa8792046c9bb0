"""Tables: as the reference has them, made at once or brought up to date, and never made worse."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import MetaData, inspect, text
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database import changes, schema
from difyd.store.database.connect import sqlite_engine
from difyd.store.database.engine import Database, DatabaseFailed
from difyd.store.database.installations import repair_blocking
from difyd.store.database.tables import NEWEST, SHARED, metadata
from tests.store.database.cases import OTHER, TENANT, WEATHER, DatabaseCase, SQLiteCase, plugin
from tests.store.inline import inline_threads


def described(engine) -> dict:
    """All that a database says about its tables, in an order of ours."""
    inspector = inspect(engine)
    return {
        name: {
            "columns": {column["name"]: (str(column["type"]), column["nullable"], column["default"]) for column in inspector.get_columns(name)},
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted((str(index["name"]), index["column_names"], bool(index["unique"])) for index in inspector.get_indexes(name)),
            "unique": sorted((str(rule["name"]), rule["column_names"]) for rule in inspector.get_unique_constraints(name)),
        }
        for name in inspector.get_table_names()
    }


class SchemaContract(DatabaseCase):
    def prepare(self, migrate: bool = True) -> list[str]:
        return schema.prepare_blocking(self.engine, migrate=migrate)

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def test_complete(self) -> None:
        """Thirteen shared tables and ours, with the reference's indexes and constraints by name."""
        found = described(self.engine)
        self.assertEqual(len(SHARED), 13)
        self.assertEqual(set(found) - {changes.NAME}, {*metadata.tables, schema.VERSIONS.name})
        self.assertTrue(all(name.startswith("difyd_") for name in set(found) - {table.name for table in SHARED}))
        for table in metadata.tables.values():
            self.assertEqual(set(found[table.name]["columns"]), {column.name for column in table.columns})
            self.assertLessEqual({index.name for index in table.indexes}, {name for name, _, _ in found[table.name]["indexes"]})
        for name in ("plugin_declarations", "serverless_runtimes"):
            self.assertEqual(found[name]["unique"], [(f"uni_{name}_plugin_unique_identifier", ["plugin_unique_identifier"])])
        self.assertEqual(found["endpoints"]["unique"], [("uni_endpoints_hook_id", ["hook_id"])])
        for name in ("plugins", "plugin_installations"):  # unique indexes, which the reference's migration does not try to undo
            self.assertEqual(found[name]["unique"], [])

    def test_up_to_date(self) -> None:
        """A second start finds nothing to do, and does not need the permission to."""
        self.assertEqual(self.prepare(migrate=False), [])

    def test_same_by_migration(self) -> None:
        """A database that was migrated from nothing looks like one that was made at once."""
        made = described(self.engine)
        self.empty()
        self.execute("CREATE TABLE somebody_elses (id integer)")
        report = self.prepare()
        self.assertIn("migrated from revision none to 0002", report)
        self.execute("DROP TABLE somebody_elses")
        self.assertEqual(described(self.engine), made)

    def test_adopted(self) -> None:
        """What an older reference lacks is added; its rows, additional columns, tables and indexes stay."""
        made = described(self.engine)
        self.install(WEATHER)
        self.forget()
        self.execute(
            "DROP TABLE datasource_installations",
            "DROP TABLE trigger_installations",
            "DROP TABLE difyd_jobs",
            "ALTER TABLE plugins DROP COLUMN source",
            "ALTER TABLE plugins ADD COLUMN declaration text",
            *self.drop_indexes("idx_plugins_plugin_id", "idx_install_tasks_status"),
            "CREATE INDEX idx_plugins_plugin_unique_identifier ON plugins (plugin_unique_identifier)",
            "CREATE TABLE agent_installations (id integer)",
        )
        report = self.prepare()
        expected = [
            "created table datasource_installations",
            "created table trigger_installations",
            "created table difyd_jobs",
            "added column plugins.source",
            "created index idx_plugins_plugin_id",
            "created index idx_install_tasks_status",
            "migrated from revision none to 0002",
        ]
        self.assertEqual(sorted(report), sorted(expected))
        self.assertIsNotNone(self.install(plugin("maps")))
        self.assertEqual(self.do(repair_blocking), [])
        self.assertTrue(inspect(self.engine).has_table("agent_installations"))
        self.execute(
            "DROP TABLE agent_installations",
            *self.drop_indexes("idx_plugins_plugin_unique_identifier", table="plugins"),
            "ALTER TABLE plugins DROP COLUMN declaration",
        )
        self.assertEqual(described(self.engine), made)
        self.assertEqual(self.prepare(), [])

    def test_first_version(self) -> None:
        """A database of the first version of this daemon gets what came later."""
        made = described(self.engine)
        self.execute(
            *self.drop_indexes(NEWEST.name),
            *([f"DROP TABLE {changes.NAME}"] if changes.NAME in made else []),
            f"UPDATE {schema.VERSIONS.name} SET version_num = '0001'",
        )
        self.assertEqual(self.prepare(), [f"created index {NEWEST.name}", "migrated from revision 0001 to 0002"])
        self.assertEqual(described(self.engine), made)
        self.install(WEATHER)

    def test_duplicates(self) -> None:
        """What stands in the way of a unique index goes: the oldest row of a version and the newest installation stay."""
        self.forget()
        self.execute(
            *self.drop_indexes("idx_plugin_unique_identifier", table="plugins"),
            *self.drop_indexes("idx_tenant_plugin", table="plugin_installations"),
            *(
                f"INSERT INTO plugins (id, created_at, plugin_unique_identifier, plugin_id, refers) VALUES "
                f"('0000000{day}-0000-7000-8000-000000000000', '2026-03-0{day} 00:00:00', '{WEATHER}', 'acme/weather', 5)"
                for day in (2, 1, 3)
            ),
            *(
                f"INSERT INTO plugin_installations (id, created_at, tenant_id, plugin_id, plugin_unique_identifier, runtime_type) VALUES "
                f"('0000000{day}-0000-7000-8000-000000000000', '2026-03-0{day} 00:00:00', '{TENANT}', 'acme/weather', '{WEATHER}', 'local')"
                for day in (2, 1, 3)
            ),
            *(
                f"INSERT INTO tenant_storages (id, tenant_id, plugin_id, size) VALUES "
                f"('0000000{size}-0000-7000-8000-000000000000', '{tenant}', 'acme/weather', {size})"
                for size, tenant in ((1, TENANT), (2, TENANT), (3, OTHER))
            ),
        )
        report = self.prepare()
        self.assertIn(f"removed 1 duplicate rows of tenant_storages: {TENANT}, acme/weather", report)
        self.assertIn(f"removed 2 duplicate rows of plugin_installations: {TENANT}, acme/weather", report)
        self.assertIn(f"removed 2 duplicate rows of plugins: {WEATHER}", report)
        with self.engine.connect() as connection:
            rows = [connection.execute(text(f"SELECT id, {more} FROM {name} ORDER BY id")).all() for name, more in self.kept]
        self.assertEqual(
            [[(str(id)[7], more) for id, more in row] for row in rows], [[("1", 1)], [("3", "acme/weather")], [("1", 3), ("3", 3)]]
        )

    kept = (("plugins", "refers"), ("plugin_installations", "plugin_id"), ("tenant_storages", "size"))

    def test_forbidden(self) -> None:
        """Without the permission to migrate the start is refused, with the name of the setting."""
        self.forget()
        self.assertIn("DB_MIGRATE_ON_START", str(self.assertRaises(DatabaseFailed, self.prepare, migrate=False)))

    def test_newer(self) -> None:
        """A database of a newer daemon is left alone."""
        self.execute(f"UPDATE {schema.VERSIONS.name} SET version_num = '9999'")
        before = described(self.engine)
        self.assertIn("9999", str(self.assertRaises(DatabaseFailed, self.prepare)))
        self.assertEqual(described(self.engine), before)

    def test_all_or_nothing(self) -> None:
        """A migration that fails half-way has changed nothing."""
        self.forget()
        self.execute("DROP TABLE difyd_jobs", "DROP TABLE plugin_readme_records", "CREATE VIEW difyd_jobs AS SELECT 1 AS one")
        before = described(self.engine)
        database = Database(self.engine, readers=inline_threads(), writers=inline_threads())
        self.failureResultOf(database.startService(), DatabaseFailed)
        self.assertEqual(described(self.engine), before)
        self.execute("DROP VIEW difyd_jobs")
        self.assertIn("created table plugin_readme_records", self.prepare())

    def test_same_time(self) -> None:
        """Nodes that start at the same time on an empty database do not disturb each other."""
        self.empty()
        results = self.together(*[self.prepare] * 4)
        self.assertEqual(sorted(map(str, results)), ["['created all tables']", "[]", "[]", "[]"])

    def forget(self) -> None:
        """As if only the reference had been here."""
        self.execute(f"DROP TABLE {schema.VERSIONS.name}")

    def empty(self) -> None:
        found = MetaData()
        found.reflect(self.engine)
        with self.engine.begin() as connection:
            found.drop_all(connection)

    def drop_indexes(self, *names: str, table: str = "") -> list[str]:
        return [f"DROP INDEX {name}" for name in names]


class SQLiteSchemaTests(SchemaContract, SQLiteCase):
    pass


class StartTests(SynchronousTestCase):
    def test_unusable_place(self) -> None:
        """A database file that cannot be made fails the start with a sentence that names it."""
        file = Path(self.mktemp())
        file.write_text("in the way")
        database = Database(sqlite_engine(file / "x.db", 1), readers=inline_threads(), writers=inline_threads())
        self.addCleanup(database.stopService)
        self.assertIn(str(file), str(self.failureResultOf(database.startService(), DatabaseFailed).value))

    def test_no_database(self) -> None:
        """A file that is no database fails the start and stays as it is."""
        file = Path(self.mktemp())
        file.write_text("my diary, " * 1000)
        database = Database(sqlite_engine(file, 1), readers=inline_threads(), writers=inline_threads())
        self.addCleanup(database.stopService)
        self.assertIn("not a database", str(self.failureResultOf(database.startService(), DatabaseFailed).value))
        self.assertTrue(file.read_text().startswith("my diary"))

    def test_restart(self) -> None:
        """What was written is there when the file is opened again."""
        path = Path(self.mktemp()) / "x.db"
        for expected in ([], ["t"]):
            database = Database(sqlite_engine(path, 1), readers=inline_threads(), writers=inline_threads())
            self.successResultOf(database.startService())
            found = Deferred.fromCoroutine(
                database.run(lambda transaction: list(transaction.connection.scalars(text("SELECT tenant_id FROM difyd_debug_keys"))))
            )
            self.assertEqual(self.successResultOf(found), expected)
            add = text("INSERT OR IGNORE INTO difyd_debug_keys VALUES ('t', 'k', '2026')")
            self.successResultOf(Deferred.fromCoroutine(database.run(lambda transaction, add=add: transaction.connection.execute(add).close())))
            self.successResultOf(database.stopService())

    def test_imports(self) -> None:
        """The embedded database needs neither Alembic nor the other dialects, not even to make its tables."""
        code = (
            "import sys; from pathlib import Path; from difyd.store.database import connect, schema, engine, listings, tasks, endpoints\n"
            f"print(schema.prepare_blocking(connect.sqlite_engine(Path({self.mktemp()!r}) / 'x.db', 1), migrate=True))\n"
            "unwanted = ('alembic', 'mako', 'psycopg2', 'pymysql', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.dialects.mysql')\n"
            "print([name for name in unwanted if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "['created all tables']\n[]\n", done.stderr)
