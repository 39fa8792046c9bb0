"""Settings of an endpoint against what its plugin declares."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.settings_schema import BadSettings, has_secrets, mask, masked, unmasked, validate

MODEL = {"provider": "p", "model": "m", "model_type": "llm"}
SCHEMA: list[dict[str, Any]] = [
    {"name": "must", "type": "text-input", "required": True},
    {"name": "pick", "type": "select", "options": [{"value": "a"}, {"value": "b"}]},
    {"name": "flag", "type": "boolean"},
    {"name": "app", "type": "app-selector"},
    {"name": "ranker", "type": "model-selector", "scope": "rerank"},
    {"name": "seer", "type": "model-selector", "scope": "tool-call & vision&new"},
    {"name": "reader", "type": "model-selector", "scope": "document"},
    {"name": "model", "type": "model-selector", "scope": "text2img"},
    {"name": "token", "type": "secret-input"},
]


class ValidateTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Declared settings of their types, absent optional ones, and undeclared ones."""
        for more in (
            {},
            {"pick": "b"},
            {"flag": False},
            {"app": {"app_id": "1"}},
            {"ranker": {**MODEL, "score_threshold": 0, "top_n": 1}},
            {"seer": {**MODEL, "completion_params": {}}, "reader": MODEL},
            {"x": [1]},
            {"pick": None},
        ):
            validate(SCHEMA, {"must": "m", **more})

    def test_bad(self) -> None:
        """The message names the setting and what is wrong with it."""
        for values, told in (
            ({}, "missing required setting: must"),
            ({"must": None}, "missing required setting: must"),
            ({"must": 5}, "setting must is not a string"),
            ({"must": "m", "pick": "c"}, "setting pick is not a valid option"),
            ({"must": "m", "flag": "true"}, "setting flag is not a boolean"),
            ({"must": "m", "app": "1"}, "setting app is not a map"), ({"must": "m", "app": {}}, "setting app is missing app_id"),
            ({"must": "m", "ranker": MODEL}, "setting ranker is missing score_threshold"),
            ({"must": "m", "seer": MODEL}, "setting seer is missing completion_params"),
            ({"must": "m", "model": MODEL}, "setting model is not a valid model config scope"),
            ({str(n): n for n in range(65)}, "too many setting fields"),
        ):  # fmt: skip
            with self.assertRaises(BadSettings) as caught:
                validate(SCHEMA, values)
            self.assertEqual(str(caught.exception), f"failed to validate settings: {told}")


class MaskTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """Short secrets show nothing, long ones two letters at each end."""
        self.assertEqual(
            [mask(secret) for secret in ("", "a", "abcdef", "abcdefg", "abcdefghij")], ["", "*", "******", "ab***fg", "ab******ij"]
        )

    @given(st.dictionaries(st.sampled_from(["token", "must"]), st.text(max_size=20)))
    def test_round_trip(self, stored: dict[str, str]) -> None:
        """A form that is sent back as it was shown changes nothing."""
        self.assertEqual(unmasked(SCHEMA, masked(SCHEMA, stored), stored), stored)

    def test_new_secret(self) -> None:
        """A text that only looks like a mask is a new secret; one without a stored value too."""
        self.assertEqual(unmasked(SCHEMA, {"token": "xx****yy"}, {"token": "abcdefgh"}), {"token": "xx****yy"})
        self.assertEqual(unmasked(SCHEMA, {"token": "ab****gh"}, {}), {"token": "ab****gh"})
        self.assertTrue(has_secrets(SCHEMA))
        self.assertFalse(has_secrets(SCHEMA[:-1]))
