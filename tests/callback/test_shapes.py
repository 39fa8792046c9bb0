"""Objects pass through; only what the daemon knows of them is looked at."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, Struct, UnsetType
from twisted.trial.unittest import SynchronousTestCase

from difyd.callback.shapes import Shape, WrongShape, members
from difyd.entities.payloads import Object, Required
from difyd.entities.raw import encode


class Inner(Struct, frozen=True):
    name: Required
    note: str = ""


class Outer(Struct, frozen=True):
    title: Required
    many: list[Inner] | None = None
    one: Inner | UnsetType = UNSET
    options: Object = {}
    count: int = 0
    kind: str | UnsetType = UNSET


SHAPE = Shape(Outer, {"many": Shape(Inner), "one": Shape(Inner)})


def filled(**found: object) -> object:
    text = Raw(json.dumps({"title": "t", **found}).encode())
    return json.loads(bytes(SHAPE.checked(text)))


class ShapeTests(SynchronousTestCase):
    def test_stand_ins(self) -> None:
        """What is absent or null gets the default; what has none to send is left out, also when it is empty."""
        whole = {"title": "t", "many": None, "options": {}, "count": 0}
        self.assertEqual(filled(), whole)
        self.assertEqual(filled(many=None, one=None, options=None, count=None, kind=None), whole)
        self.assertEqual(filled(kind=""), whole)
        self.assertEqual(filled(kind="k"), {**whole, "kind": "k"})

    def test_parts(self) -> None:
        """Objects in members and in lists in members are completed, too."""
        found = filled(many=[{"name": "a"}, {"name": "b", "note": "n", "x": 1}], one={"name": "c", "note": None})
        self.assertEqual(found["many"], [{"name": "a", "note": ""}, {"name": "b", "note": "n", "x": 1}])  # type: ignore[index]
        self.assertEqual(found["one"], {"name": "c", "note": ""})  # type: ignore[index]

    def test_untouched(self) -> None:
        """An object that lacks nothing stays the very bytes that came."""
        text = Raw(b'{"title":"t","many":null,"options":{ "n": 1.0 },"count":12345678901234567, "new":[1e3]}')
        self.assertIs(SHAPE.checked(text), text)

    @settings(max_examples=50, deadline=None)
    @given(
        st.dictionaries(
            st.text(max_size=5).map(lambda name: f"x{name}"),
            st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            max_size=3,
        )
    )
    def test_unknown_members(self, more: dict[str, object]) -> None:
        """Members that nobody here has heard of pass."""
        self.assertEqual(filled(**more), {"title": "t", "many": None, "options": {}, "count": 0, **more})

    def test_wrong(self) -> None:
        """A member that is missing, empty or null is told from one of the wrong type; both are named."""
        for text, name, missing in (
            ('{"many":null}', "title", True),
            ('{"title":""}', "title", True),
            ('{"title":null}', "title", True),
            ('{"title":7}', "title", False),
            ('{"title":"t","many":[{}]}', "many", True),
            ('{"title":"t","many":{}}', "many", False),
            ('{"title":"t","many":[1]}', "many", False),
            ('{"title":"t","count":"1"}', "count", False),
            ('{"title":"t","count":true}', "count", False),
            ('{"title":"t","options":[]}', "options", False),
        ):
            with self.assertRaises(WrongShape) as caught:
                SHAPE.checked(Raw(text.encode()))
            self.assertEqual((name in str(caught.exception), caught.exception.missing), (True, missing), f"{text}: {caught.exception}")

    def test_no_object(self) -> None:
        """What is no object, or no JSON, does not fit."""
        for text in (b"[]", b"7", b"null", b"", b'{"a":', b'{"a":"\xff"}x', b"[" * 100_000):
            with self.assertRaises(WrongShape):
                SHAPE.checked(Raw(text))

    def test_fractions(self) -> None:
        """Of an integer's fraction nothing is left; what is no number is none afterwards."""
        for number, whole in (("3.9", 3), ("-3.9", -3), ("3.0", 3), ("1e2", 100), ("7", 7), ("1e999", None), ('"3.9"', None), ("true", None)):
            found = members(b'{"title":"t","count":%s}' % number.encode())
            SHAPE.complete(found)
            if whole is None:
                with self.assertRaises(WrongShape):
                    SHAPE.decode(encode(found))
            else:
                self.assertEqual(bytes(found["count"]), b"%d" % whole)
