"""What the manifest does not ask for is refused before anything leaves the daemon."""

from copy import deepcopy

from twisted.trial.unittest import SynchronousTestCase

from difyd.callback import permissions
from difyd.callback.types import TYPES
from tests.callback.fakes import ALL, call, declaration

KINDS = {name: row.permission for name, row in TYPES.items()} | {"storage": permissions.STORAGE}
TEXT = "permission denied, you need to enable {} access in plugin manifest"


class PermissionTests(SynchronousTestCase):
    def denied(self, permission: dict[str, object] | None) -> dict[str, str]:
        """The refused types, with the word of their refusal."""
        caller = call(declaration=declaration(permission))
        found = {}
        for kind, needed in KINDS.items():
            refusal = permissions.refusal(caller, needed)
            if refusal is not None:
                self.assertEqual(refusal, TEXT.format(needed.word))
                found[kind] = needed.word
        return found

    def test_all(self) -> None:
        """A manifest that asks for everything may everything."""
        self.assertEqual(self.denied(ALL), {})

    def test_each_flag(self) -> None:
        """Without a flag exactly the types that need it are refused."""
        for part, flag, word, kinds in (
            ("tool", "enabled", "tool", {"tool"}),
            ("node", "enabled", "node", {"node_parameter_extractor", "node_question_classifier"}),
            ("app", "enabled", "app", {"app", "fetch_app"}),
            ("storage", "enabled", "storage", {"storage"}),
            ("model", "llm", "llm", {"llm", "llm_structured_output", "system_summary"}),
            ("model", "text_embedding", "text-embedding", {"text_embedding", "multimodal_embedding"}),
            ("model", "rerank", "rerank", {"rerank", "multimodal_rerank"}),
            ("model", "tts", "tts", {"tts"}),
            ("model", "speech2text", "speech2text", {"speech2text"}),
            ("model", "moderation", "moderation", {"moderation"}),
        ):
            given = deepcopy(ALL)
            given[part][flag] = False
            self.assertEqual(self.denied(given), dict.fromkeys(kinds, word))

    def test_models_as_a_whole(self) -> None:
        """Single flags of models mean nothing without the one for all of them."""
        given = {**ALL, "model": {**ALL["model"], "enabled": False}}
        self.assertEqual(len(self.denied(given)), 10)

    def test_nothing(self) -> None:
        """A manifest without the block may upload files; a part that is missing is denied, others count."""
        for given in (None, {}):
            self.assertEqual(set(KINDS) - set(self.denied(given)), {"upload_file"})
        self.assertEqual(set(KINDS) - set(self.denied({"tool": {"enabled": True}})), {"upload_file", "tool"})
