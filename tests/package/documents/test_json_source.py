"""JSON from a plugin under development: strict types, readable complaints."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.package.documents.json_source import JsonSource, parse
from difyd.package.documents.source import Unfit
from difyd.package.schema.types import Anything, Field, Flag, Integer, ListOf, Number, Optional, Price, Record, Text, Time, read_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


class JsonTests(SynchronousTestCase):
    def read(self, text: str, kind: Any) -> Any:
        return read_value(kind, JsonSource(), parse(text.encode()))

    def refused(self, text: str, kind: Any) -> str:
        return JsonSource().describe(self.assertRaises(Unfit, self.read, text, kind))

    @settings(deadline=None)
    @given(VALUES)
    def test_any_json(self, value: Any) -> None:
        """Where anything may stand, a value means itself."""
        self.assertEqual(self.read(json.dumps(value), Anything()), value)

    def test_numbers(self) -> None:
        """Integers keep their digits; a number without a fraction is one."""
        self.assertEqual(
            repr(self.read("[1, 1.0, 0.1, 9007199254740993, 1e3, 1e30]", Anything())), "[1, 1, 0.1, 9007199254740993, 1000, 1e+30]"
        )
        self.assertEqual(self.refused("1e400", Anything()), "the number is too large")
        self.assertEqual(self.read("2.50", Price()), "2.5")
        self.assertEqual(parse(b"2.50"), Decimal("2.50"))

    def test_strict(self) -> None:
        """No type stands in for another; null is the empty value."""
        for kind, *texts in (
            (Text(), "5", "true"),
            (Integer(), '"5"', "5.0", "true"),
            (Number(), '"1"'),
            (Flag(), "1"),
            (ListOf(Text()), "{}"),
        ):
            for text in texts:
                self.assertIn("must be ", self.refused(text, kind))
        self.assertEqual(
            [self.read("null", kind) for kind in (Text(), Flag(), Integer(), Optional(Text()), ListOf(Text(), list))], ["", False, 0, None, []]
        )

    def test_times(self) -> None:
        """RFC 3339; without a zone, as the SDK lets it pass, it is UTC."""
        self.assertEqual(self.read('"2025-01-27T10:00:00+08:00"', Time()), "2025-01-27T10:00:00+08:00")
        self.assertEqual(self.read('"2025-01-27T10:00:00"', Time()), "2025-01-27T10:00:00Z")
        self.assertIn("RFC 3339", self.refused('"2025-01-27"', Time()))

    def test_paths(self) -> None:
        """A complaint names the place."""
        kind = Record("R", (Field("a", ListOf(Record("I", (Field("b", Text()),)))),))
        self.assertEqual(self.refused('{"a": [{"b": "x"}, {"b": 5}]}', kind), "a[1].b: must be a string, not a number")

    def test_repairs(self) -> None:
        """Lone surrogates and bytes that are no UTF-8 become U+FFFD, in keys too."""
        self.assertEqual(self.read('{"\\ud800": ["\\udfff", "\\ud83d\\ude00"]}', Anything()), {"\ufffd": ["\ufffd", "\U0001f600"]})
        self.assertEqual(parse(b'"\xff"'), "\ufffd")

    def test_no_json(self) -> None:
        """Broken text, NaN and absurd nesting are refused alike."""
        for data in (b"", b"{", b"NaN", b"[Infinity]", b"{} x", b"[" * 100_000):
            self.assertRaises(ValueError, parse, data)
