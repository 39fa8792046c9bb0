"""Types and statements in the dialects that are not at hand here (state-and-cluster 3.3)."""

from datetime import UTC, datetime

from sqlalchemy import ClauseElement, event
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.installation import RuntimeType
from difyd.store.database import debugkeys, declarations, installations, listings, readmes, storages, tasks
from difyd.store.database import endpoints as hooks
from difyd.store.database.listings import Filter
from difyd.store.database.records import TaskEntry
from difyd.store.database.statements import _insert_absent
from difyd.store.database.tables import endpoints, metadata, plugin_installations, plugins
from tests.store.database.cases import TENANT, WEATHER, WEATHER_2, SQLiteCase


class MySQLTests(SynchronousTestCase):
    def spelled(self, statement) -> str:
        return " ".join(str(statement.compile(dialect=mysql.dialect())).split())

    def test_types(self) -> None:
        """Ids are `char(36)`, times `datetime(3)` that may be null, documents `longtext`."""
        text = self.spelled(CreateTable(plugin_installations))
        for column in ("id CHAR(36) NOT NULL", "created_at DATETIME(3)", "tenant_id CHAR(36)", "meta LONGTEXT", "endpoints_active BIGINT"):
            self.assertIn(f"{column},", text)
        self.assertIn("enabled BOOL", self.spelled(CreateTable(endpoints)))

    def test_every_table(self) -> None:
        """All of them can be spelled, with their indexes."""
        for table in metadata.tables.values():
            self.assertIn(f"CREATE TABLE {table.name}", self.spelled(CreateTable(table)))
            for index in table.indexes:
                self.assertIn(str(index.name), self.spelled(CreateIndex(index)))

    def test_insert_absent(self) -> None:
        """A taken row stays as it is."""
        text = self.spelled(_insert_absent("mysql", plugins).values(id="1"))
        self.assertEqual(text, "INSERT INTO plugins (id) VALUES (%s) ON DUPLICATE KEY UPDATE id = plugins.id")


class StatementsTests(SQLiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.spelled: set[str] = set()
        event.listen(self.engine, "before_execute", self.spell)

    def spell(self, _connection, statement: ClauseElement, *_) -> None:
        """In the servers' dialects. What inserts only what is absent is made for one dialect, and has its own test."""
        if not isinstance(statement, sqlite.Insert):
            self.spelled |= {str(statement.compile(dialect=dialect)) for dialect in (mysql.dialect(), postgresql.dialect())}

    def test_all(self) -> None:
        """The life of a plugin, in whatever words a server needs."""
        both = ("tool", "agent_strategy", "endpoint")
        made, later = self.install(WEATHER, *both), self.upload(WEATHER_2, *both)
        task = self.do(tasks.create_blocking, TENANT, [TaskEntry(plugin_unique_identifier=str(WEATHER))])
        creation = {"hook_id": "h", "tenant": TENANT, "user": "u", "plugin_id": WEATHER.plugin_id, "name": "n", "settings": b"{}"}
        endpoint = self.do(hooks.create_blocking, id=self.database.ids.new(), **creation).id
        self.do(readmes.add_blocking, WEATHER, {"en_US": "x"})
        self.do(lambda transaction: storages.add_blocking(transaction, storages.lock_blocking(transaction, TENANT, "a/b"), 3))
        key = self.do(debugkeys.get_or_create_blocking, TENANT, 60.0)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for work, *args in (
            (tasks.update_blocking, task, WEATHER),
            (tasks.get_blocking, TENANT, task),
            (tasks.list_blocking, TENANT, 1, 10),
            (tasks.unfinished_blocking,),
            (tasks.expire_blocking, moment),
            (tasks.delete_entry_blocking, TENANT, task, WEATHER),
            (tasks.delete_all_blocking, TENANT),
            (hooks.by_hook_blocking, "h"),
            (hooks.enable_blocking, TENANT, endpoint, False),
            (hooks.list_blocking, TENANT, 1, 10),
            (readmes.get_blocking, WEATHER),
            (storages.size_blocking, TENANT, "a/b"),
            (storages.try_add_blocking, TENANT, "a/b", 1, 100),
            (debugkeys.tenant_blocking, key),
            (declarations.get_many_blocking, [WEATHER]),
            (declarations.replace_blocking, WEATHER, later.text),
            (listings.installed_blocking, TENANT, 2, 1),
            (listings.category_blocking, TENANT, "tool", 1, 10, Filter(query="w")),
            (listings.plugin_ids_blocking, TENANT, "tool"),
            (listings.plugin_ids_blocking, TENANT, "extension"),
            (listings.batch_blocking, TENANT, ["acme/weather"]),
            (listings.missing_blocking, TENANT, [WEATHER_2]),
            (listings.tools_exist_blocking, TENANT, [("acme/weather", "weather")]),
            (listings.providers_blocking, TENANT, "agent_strategy", 1, 10),
            (listings.provider_blocking, TENANT, "tool", "acme/weather", "weather"),
            (listings.bindings_blocking, TENANT),
            (installations.in_use_blocking, WEATHER),
            (installations.repair_blocking,),
        ):
            self.do(work, *args)
        self.do(installations.upgrade_blocking, TENANT, WEATHER, WEATHER_2, later, runtime=RuntimeType.LOCAL, source="package", meta=b"{}")
        self.do(hooks.remove_blocking, TENANT, endpoint)
        self.do(installations.uninstall_blocking, TENANT, made.id)
        self.assertGreater(len(self.spelled), 80)
