"""YAML files become values as their dialect says."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.package.documents.nodes import MAX_DEPTH, MAX_NODES, BadYaml
from difyd.package.documents.source import Unfit
from difyd.package.documents.yaml_source import YamlSource
from difyd.package.schema.types import (
    Anything,
    Field,
    Flag,
    FreeObject,
    Integer,
    ListOf,
    Number,
    Optional,
    Price,
    Record,
    Text,
    Time,
    read_value,
)

PRINTABLE = st.characters(
    min_codepoint=32, max_codepoint=0x2FFFF, exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"
)
TEXTS = st.text(PRINTABLE, max_size=20)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not value.is_integer())
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


class YamlCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = YamlSource()

    def any(self, text: str | bytes) -> Any:
        """What a file means where anything may stand."""
        return self.read(text, Anything())

    def read(self, text: str | bytes, kind: Any) -> Any:
        return read_value(kind, self.source, self.source.parse(text.encode() if isinstance(text, str) else text))

    def field(self, text: str, kind: Any) -> Any:
        """The value of `text` in a field of that type."""
        return self.read(f"x: {text}\n", Record("R", (Field("x", kind),)))["x"]

    def refused(self, text: str | bytes, kind: Any = None) -> str:
        try:
            self.read(text, kind or Anything())
        except Unfit as why:
            return self.source.describe(why)
        except BadYaml as why:
            return str(why)
        raise AssertionError("it was taken")


class AnythingTests(YamlCase):
    @settings(deadline=None)
    @given(VALUES)
    def test_any_json(self, value: Any) -> None:
        """JSON is YAML, and means the same."""
        self.assertEqual(YamlCase.any(self, json.dumps({"x": value}, ensure_ascii=False))["x"], value)

    def test_scalars(self) -> None:
        """Quotes make text; an explicit tag says what it is."""
        cases = {
            "10": 10,
            "'10'": "10",
            '"true"': "true",
            "''": "",
            "!!str 5": "5",
            '!!int "7"': 7,
            "!!float 3": 3,
            "! 5": 5,
            "!!binary aGk=": "hi",
        }
        self.assertEqual({text: self.any(text) for text in cases}, cases)

    def test_blocks(self) -> None:
        """Block scalars are text."""
        self.assertEqual(self.any("- |\n  1\n  2\n- >-\n  a\n  b\n"), ["1\n2\n", "a b"])

    def test_keys(self) -> None:
        """Keys are text: as written at the top, as the value says below; and they are sorted as clients know them."""
        self.assertEqual(self.any("{b: 1, a: 2, 0x10: 3, true: 4}"), {"0x10": 3, "a": 2, "b": 1, "true": 4})
        self.assertEqual(list(self.any("{b: 1, a: {d: 1, c: 2}}")), ["a", "b"])
        self.assertEqual(self.any("a: {0x10: 1, True: 2, ~: 3, 1.50: 4, x: 5}")["a"], {"1.5": 4, "16": 1, "null": 3, "true": 2, "x": 5})

    def test_merges(self) -> None:
        """Own keys beat merged ones, earlier merges later ones; a quoted `<<` is a key."""
        text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\nw: {<<: *y}\nv: {'<<': 1}\n"
        value = self.any(text)
        self.assertEqual((value["z"], value["w"], value["v"]), ({"a": 0, "b": 1, "c": 2}, {"b": 2, "c": 2}, {"<<": 1}))
        self.assertIn("map merge requires", self.refused("{<<: 5}"))

    def test_nulls_stay(self) -> None:
        """In a list of anything a null is an item."""
        self.assertEqual(self.any("[~, null, 1]"), [None, None, 1])

    def test_not_served(self) -> None:
        """Infinity and NaN are refused, and so are tags that nobody knows and composite keys."""
        for text in (".inf", "[-.INF]", "{a: .nan}", "!secret x", "!!int 5.5", "!!binary '*'", "{[1]: a}"):
            self.assertTrue(self.refused(text).startswith("yaml:"), text)


class TypedTests(YamlCase):
    def test_text(self) -> None:
        """A text is what was written, whatever it looks like."""
        for text in ("3.10", "yes", "010", "2024-01-02", "1_000", "0x1F", "1.0", "-0", "12:30"):
            self.assertEqual(self.field(text, Text()), text)
        self.assertEqual([self.field(text, Text()) for text in ("~", "", "'~'", "!!binary aGk=")], ["", "", "~", "hi"])
        self.assertEqual([self.field(text, Optional(Text())) for text in ("~", "''", "5")], [None, "", "5"])

    def test_flag(self) -> None:
        """A flag understands the words of both YAML versions, in three cases, and only words."""
        for text in ("true", "TRUE", "yes", "Yes", "YES", "y", "on", "'on'"):
            self.assertIs(self.field(text, Flag()), True)
        for text in ("false", "no", "No", "N", "OFF", "'no'", "~", ""):
            self.assertIs(self.field(text, Flag()), False)
        for text in ("'true'", "1", "0", "maybe", "yEs", "''", "[]"):
            self.assertIn("into bool", self.refused(text, Flag()))

    def test_integer(self) -> None:
        """A fraction is cut off; what is no number, or too large, is refused."""
        self.assertEqual(
            [self.field(text, Integer()) for text in ("3", "3.9", "-2.9", "1.9e3", "0x10", "010", "~")], [3, 3, -2, 1900, 16, 8, 0]
        )
        for text in ("'3'", "yes", "9223372036854775808", "1e30", ".inf", ".nan", "[]"):
            self.assertIn("into int", self.refused(text, Integer()))
        self.assertIn("into uint", self.refused("-1", Integer(0, 10)))

    def test_number(self) -> None:
        """A number passes through a double."""
        self.assertEqual(
            [self.field(text, Number()) for text in ("3", "0.50", "1e20", "18446744073709551615")], [3, 0.5, 10**20, 18446744073709552000]
        )
        for text in ("'3'", "yes", "1e400", "{}"):
            self.assertIn("into float64", self.refused(text, Number()))

    def test_price(self) -> None:
        """A decimal is read from its text; a bad one is told without the prefix of YAML errors."""
        self.assertEqual([self.field(text, Price()) for text in ("'2.50'", "1e-6", "~")], ["2.5", "0.000001", "0"])
        self.assertEqual(self.refused("1_000", Price()), "can't convert '1_000' to decimal")

    def test_time(self) -> None:
        """A time is looser without quotes than in them."""
        self.assertEqual(self.field("2024-7-2", Time()), "2024-07-02T00:00:00Z")
        self.assertEqual(self.field("'2024-07-12T08:03:44.10+08:00'", Time()), "2024-07-12T08:03:44.1+08:00")
        self.assertEqual(self.field("~", Time()), "0001-01-01T00:00:00Z")
        for text in ("'2024-07-12'", "2024-07-12T08:03:44", "soon", "5", "''"):
            self.assertIn("RFC 3339", self.refused(text, Time()))
        self.assertTrue(self.refused("[2024-07-12]", Time()).startswith("yaml: unmarshal errors:"))

    def test_collections(self) -> None:
        """Null items of a list with a type are dropped; a wrong kind of node is refused."""
        self.assertEqual(self.field("[~, a, 5]", ListOf(Text())), ["a", "5"])
        self.assertIsNone(self.field("", ListOf(Text())))
        self.assertEqual(self.field("{true: 1}", FreeObject()), {"true": 1})
        for text, kind in (("{a: b}", ListOf(Text())), ("text", ListOf(Text())), ("[a]", FreeObject()), ("text", FreeObject())):
            self.assertTrue(self.refused(text, kind).startswith("yaml: unmarshal errors:\n  line 1: cannot unmarshal "), text)

    def test_places(self) -> None:
        """All values that do not fit are told, with line and path."""
        inner = Record("Inner", (Field("b", Flag()),))
        kind = Record("Outer", (Field("a", ListOf(inner)), Field("c", Integer())))
        said = self.refused("a:\n  - b: yes\n  - b: 'true'\nc: many\n", kind)
        self.assertEqual(
            said,
            "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `true` into bool (at a[1].b)\n"
            "  line 4: cannot unmarshal !!str `many` into int (at c)",
        )

    def test_place_of_a_whole_refusal(self) -> None:
        """A price or a time that is none has words of its own, without the prefix of YAML, and the path too."""
        kind = Record("Outer", (Field("a", Record("Inner", (Field("b", Price()), Field("c", Time())))),))
        self.assertEqual(self.refused("a: {b: abc, c: soon}\n", kind), "can't convert 'abc' to decimal (at a.b)")
        self.assertTrue(self.refused("a: {c: soon}\n", kind).endswith("(at a.c)"))


class DocumentTests(YamlCase):
    def test_first_document(self) -> None:
        """The first document counts, whatever follows; an empty file has none."""
        self.assertEqual(self.any("a: 1\n---\n{{{\n"), {"a": 1})
        self.assertEqual(self.any("%YAML 1.1\n--- \na: 1\n...\n"), {"a": 1})
        for text in ("", "# nothing\n", "---\n"):
            self.assertIsNone(self.any(text))

    def test_encodings(self) -> None:
        """A byte order mark of UTF-8 or UTF-16 is honoured."""
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            self.assertEqual(self.any("\ufeffa: ü\n".encode(encoding)), {"a": "ü"})

    def test_duplicate_keys(self) -> None:
        """A key twice in a mapping that is read is an error with both lines; in one that nobody reads it is none."""
        self.assertIn('line 2: mapping key "a" already defined at line 1', self.refused("a: 1\na: 2\n"))
        self.assertIn("already defined", self.refused("1: a\n'1': b\n"))
        self.assertEqual(self.read("a: 1\nb: {c: 1, c: 2}\n", Record("R", (Field("a", Text()),))), {"a": "1"})

    def test_broken(self) -> None:
        """What is no YAML is told with the prefix, and its line where there is one."""
        for text in (
            "a:\n\tb: 1\n",
            "{a: 1\n",
            "a: 'b\n",
            "a: b: c\n",
            "{{{",
            "@\n",
            "a: *b\n",
            b"a: \xe9\n",
            b"a: '\0'\n",
            'a: "\\ud83d"\n',
            "&a [*a]",
        ):
            self.assertTrue(self.refused(text).startswith("yaml: "), text)
        self.assertTrue(self.refused("a: 1\nb: c: d\n").startswith("yaml: line 2: "))

    def test_nesting(self) -> None:
        """Nesting is fine up to its limit, also that which aliases build up."""
        self.any("{a: " * 200 + "1" + "}" * 200)
        self.assertIn(f"more than {MAX_DEPTH} levels", self.refused("- " * (MAX_DEPTH + 10) + "x"))
        self.assertTrue(self.refused("[" * 50_000).startswith("yaml: "))
        half = MAX_DEPTH // 2 + 1
        self.assertIn("levels", self.refused(f"- &a {'[' * half}{']' * half}\n- {'[' * half}*a{']' * half}\n"))

    def test_alias_bomb(self) -> None:
        """Aliases of aliases are cut short when reading them takes too long, not when they are written."""
        text = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True):
            text += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        self.assertIn("excessive aliasing", self.refused(text))
        self.assertEqual(self.read(text + "z: 1\n", Record("R", (Field("z", Text()),))), {"z": "1"})

    def test_too_many_values(self) -> None:
        """All files of a package together may have so many values, not more."""
        data = b"[" + b"1," * (MAX_NODES // 2) + b"]"
        self.source.parse(data)
        self.assertRaises(BadYaml, self.source.parse, data)
