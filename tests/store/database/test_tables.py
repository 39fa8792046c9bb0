"""Types and statements in the dialects that are not at hand here (state-and-cluster 3.3)."""

from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable
from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database.statements import _insert_absent
from difyd.store.database.tables import endpoints, metadata, plugin_installations, plugins


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
