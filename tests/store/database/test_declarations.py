"""Declarations as they were uploaded."""

import msgspec

from difyd.store.database import declarations
from difyd.store.database.tables import plugin_declarations
from tests.store.database.cases import WEATHER, WEATHER_2, DatabaseCase, SQLiteCase, plugin


class DeclarationsContract(DatabaseCase):
    def test_first_wins(self) -> None:
        """An upload does not change what an earlier one has left; both learn whose it is."""
        first, second = b'{"name":"weather","digits":1.0}', b'{"name":"other"}'
        self.assertTrue(self.do(declarations.add_blocking, WEATHER, first))
        self.assertFalse(self.do(declarations.add_blocking, WEATHER, second))
        self.assertEqual(self.read(declarations.get_blocking, WEATHER), first)

    def test_same_time(self) -> None:
        """Of uploads at the same time one is the first."""
        results = self.at_once(*[self.transaction(declarations.add_blocking, WEATHER, b"{}")] * 6)
        self.assertEqual(sorted(results), [False] * 5 + [True])

    def test_text(self) -> None:
        """Any text comes back byte for byte."""
        text = msgspec.json.encode({"label": "天气 ☀ \u2028 \x7f 'quoted' \"\\", "many": ["%s"] * 1000})
        self.do(declarations.add_blocking, WEATHER, text)
        self.assertEqual(self.read(declarations.get_blocking, WEATHER), text)

    def test_several(self) -> None:
        """Several in one question; those that are not there, or empty, are left out."""
        self.do(declarations.add_blocking, WEATHER, b"{}")
        self.do(declarations.add_blocking, plugin("empty"), b"")
        wanted = [WEATHER, WEATHER_2, plugin("empty"), *(plugin(f"p{number}") for number in range(600))]
        self.assertEqual(self.read(declarations.get_many_blocking, wanted), {WEATHER: b"{}"})
        self.assertEqual(self.read(declarations.get_many_blocking, []), {})

    def test_replace(self) -> None:
        """The same row gets another text and another time, also where somebody has the version; others stay as they are."""
        self.install(WEATHER)
        self.upload(WEATHER_2)
        before = self.rows(plugin_declarations, "id", "created_at", "updated_at", "declaration")
        self.do(declarations.replace_blocking, WEATHER, b'{"verified":true}')
        after = self.rows(plugin_declarations, "id", "created_at", "updated_at", "declaration")
        self.assertEqual((after[0][:2], after[0][3]), (before[0][:2], '{"verified":true}'))
        self.assertGreater(after[0][2], before[0][2])
        self.assertEqual(after[1], before[1])


class SQLiteDeclarationsTests(DeclarationsContract, SQLiteCase):
    pass
