"""Submitted settings against the fields that a declaration defines."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import BadRequest
from difyd.package.values import check_values, mask_values

MODEL = {"provider": "p", "model": "m", "model_type": "llm"}


def config(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": False, "scope": None, "options": None, **more}


FIELDS = [
    config("must", "text-input", required=True), config("pick", "select", options=[{"value": "a"}]), config("flag", "boolean"),
    config("app", "app-selector"), config("model", "model-selector", scope="llm"), config("rank", "model-selector", scope="rerank&vision"),
    config("odd", "model-selector", scope="odd"), config("tools", "array[tools]"), config("secret", "secret-input"),
]  # fmt: skip


class CheckTests(SynchronousTestCase):
    def refused(self, **values: Any) -> str:
        return str(self.assertRaises(BadRequest, check_values, FIELDS, {"must": "m", **values}))

    def test_good(self) -> None:
        """Values of the declared types pass, null and undeclared ones unchecked."""
        for values in ({}, {"pick": "a"}, {"flag": False}, {"app": {"app_id": 1}}, {"model": MODEL}, {"tools": 5}, {"x": [1]}, {"pick": None},
                       {"rank": {**MODEL, "score_threshold": None, "top_n": 1, "completion_params": {}}}):  # fmt: skip
            check_values(FIELDS, {"must": "m", **values})

    def test_bad(self) -> None:
        """The first that does not fit is named, with the fixed words."""
        cases = {
            "missing required setting: must": {"must": None}, "setting must is not a string": {"must": 5},
            "setting secret is not a string": {"secret": []},
            "setting pick is not a valid option": {"pick": "b"}, "setting flag is not a boolean": {"flag": "true"},
            "setting app is not a map": {"app": "x"}, "setting app is missing app_id": {"app": {}},
            "setting model is missing model_type": {"model": {"provider": "p", "model": "m"}},
            "setting rank is missing score_threshold": {"rank": {**MODEL, "completion_params": {}}},
            "setting rank is missing completion_params": {"rank": {**MODEL, "score_threshold": 1, "top_n": 1}},
            "setting odd is not a valid model config scope": {"odd": MODEL},
        }  # fmt: skip
        for said, values in cases.items():
            self.assertEqual(self.refused(**values), said)

    def test_number(self) -> None:
        """At most 64 values."""
        check_values(FIELDS, {"must": "m", **{f"x{number}": 1 for number in range(63)}})
        self.assertEqual(self.refused(**{f"x{number}": 1 for number in range(64)}), "too many setting fields")


class MaskTests(SynchronousTestCase):
    def mask(self, value: Any) -> Any:
        return mask_values(FIELDS, {"secret": value, "must": "visible"})["secret"]

    def test_ends(self) -> None:
        """Only the ends of longer secrets show."""
        cases = {"": "", "a": "*", "abcdef": "******", "abcdefg": "ab***fg"}
        self.assertEqual({value: self.mask(value) for value in cases}, cases)
        self.assertEqual(self.mask(5), 5)
        self.assertEqual(mask_values(FIELDS, {"must": "visible"}), {"must": "visible"})

    def test_other_letters(self) -> None:
        """Lengths count bytes; what shows is text."""
        self.assertEqual(self.mask("äbcdeö"), "ä****ö")
        self.assertEqual(self.mask("€uro€").strip("\ufffd"), "*****")
