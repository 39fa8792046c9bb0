"""Whether anything has changed that lists show."""

import sqlite3

from sqlalchemy import update

from difyd.entities.installation import RuntimeType
from difyd.store.database import changes, debugkeys, declarations, installations, tasks
from difyd.store.database.records import TaskEntry
from difyd.store.database.tables import CATEGORIES, plugin_declarations, plugins
from tests.store.database.cases import OTHER, TENANT, WEATHER, WEATHER_2, SQLiteCase, declared


class NumberTests(SQLiteCase):
    def number(self) -> int:
        return self.read(lambda transaction: changes.number_blocking(transaction.connection))

    def test_grows(self) -> None:
        """With every insert, update and delete of what is listed, of this process and of others."""
        numbers = [self.number()]

        def then(*_: object) -> None:
            numbers.append(self.number())

        then(self.upload(WEATHER))
        then(self.upload(WEATHER_2))
        made = self.do(installations.install_blocking, TENANT, WEATHER, declared(WEATHER), runtime=RuntimeType.LOCAL, source="package")
        then()
        upgraded = {"runtime": RuntimeType.LOCAL, "source": "package"}
        then(self.do(installations.upgrade_blocking, TENANT, WEATHER, WEATHER_2, declared(WEATHER_2), **upgraded))
        then(self.do(declarations.replace_blocking, WEATHER_2, b"{}"))
        for table in (plugins, plugin_declarations, CATEGORIES["tool"]):
            with sqlite3.connect(self.engine.url.database) as foreign:
                foreign.execute(f"UPDATE {table.name} SET plugin_id = 'x' || plugin_id")
            foreign.close()
            then()
        then(self.do(installations.uninstall_blocking, TENANT, made.id))
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_declarations(self) -> None:
        """Theirs grows with what is uploaded, and not with what becomes of installations."""

        def number() -> int:
            return self.read(lambda transaction: changes.of_declarations_blocking(transaction.connection))

        first = number()
        declaration = self.upload(WEATHER)
        second = number()
        made = self.do(installations.install_blocking, TENANT, WEATHER, declaration, runtime=RuntimeType.LOCAL, source="package")
        self.do(installations.install_blocking, OTHER, WEATHER, declaration, runtime=RuntimeType.LOCAL, source="package")
        self.do(installations.uninstall_blocking, TENANT, made.id)
        self.assertEqual((first < second, number()), (True, second))
        self.do(declarations.replace_blocking, WEATHER, b"{}")
        self.assertGreater(number(), second)

    def test_stays(self) -> None:
        """While other things happen, and when a change is taken back."""
        self.install(WEATHER)
        before = self.number()
        self.do(tasks.create_blocking, TENANT, [TaskEntry()])
        self.do(debugkeys.get_or_create_blocking, OTHER, 60.0)

        def half(transaction) -> None:
            transaction.connection.execute(update(plugins).values(source="x"))
            raise ValueError

        self.refused(ValueError, half)
        self.assertEqual(self.number(), before)

    def test_time_of_a_declaration(self) -> None:
        """It moves with the text, in the form of all times; a time that comes with the text is kept."""
        self.upload(WEATHER)
        ((first,),) = self.rows(plugin_declarations, "updated_at")
        for values, moved in (({"plugin_id": "x"}, False), ({"declaration": "{}"}, True)):
            self.do(lambda transaction, values=values: transaction.connection.execute(update(plugin_declarations).values(**values)))
            self.assertEqual(self.rows(plugin_declarations, "updated_at") != [(first,)], moved)
        with sqlite3.connect(self.engine.url.database) as foreign:
            ((text,),) = foreign.execute("SELECT updated_at FROM plugin_declarations").fetchall()
        foreign.close()
        self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.do(declarations.replace_blocking, WEATHER, b'{"a":1}')
        ((third,),) = self.rows(plugin_declarations, "updated_at")
        self.assertEqual(third.timestamp(), self.time)
