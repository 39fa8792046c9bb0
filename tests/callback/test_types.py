"""What Dify gets for what a plugin asks, type by type."""

import json
from typing import Any

from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from difyd.callback.errors import BadInvocation
from difyd.callback.types import TYPES
from tests.callback.fakes import CALL, LLM

MODEL = {"provider": "p", "model": "m"}
DOCUMENT = {"content": "c", "content_type": "text"}
NODE = {"provider": "p", "name": "n", "mode": "chat", "completion_params": {}}
PARAMETER = {"name": "n", "type": "select", "options": None, "description": "", "required": False}
REQUIRED: dict[str, dict[str, Any]] = {
    "llm": {**MODEL, "mode": "chat"},
    "llm_structured_output": {**MODEL, "mode": "chat", "structured_output_schema": {}},
    "text_embedding": {**MODEL, "texts": [], "input_type": "query"},
    "multimodal_embedding": {**MODEL, "documents": [DOCUMENT], "input_type": "document"},
    "rerank": {**MODEL, "query": "q", "docs": []},
    "multimodal_rerank": {**MODEL, "query": DOCUMENT, "docs": []},
    "tts": {**MODEL, "content_text": "t", "voice": "v"},
    "speech2text": {**MODEL, "file": "00"},
    "moderation": {**MODEL, "text": "t"},
    "tool": {"tool_type": "builtin", "provider": "p", "tool": "t"},
    "app": {"app_id": "a"},
    "node_parameter_extractor": {"parameters": [PARAMETER], "model": NODE, "query": "q"},
    "node_question_classifier": {"classes": [{"id": "1", "name": "n"}], "model": NODE, "query": "q"},
    "system_summary": {"text": "t"},
    "upload_file": {"filename": "f", "mimetype": "m"},
    "fetch_app": {"app_id": "a"},
}
"""Members that each type demands, complete inside."""
CHAT_STAND_INS = {"completion_params": {}, "prompt_messages": [], "tools": None, "stop": None, "stream": False}
RANKING_STAND_INS = {"score_threshold": 0, "top_n": 0}
STAND_INS: dict[str, dict[str, Any]] = {
    "llm": CHAT_STAND_INS,
    "llm_structured_output": CHAT_STAND_INS,
    "rerank": RANKING_STAND_INS,
    "multimodal_rerank": RANKING_STAND_INS,
    "tool": {"tool_parameters": {}, "credential_id": ""},
    "app": {"inputs": {}, "query": "", "response_mode": "", "conversation_id": "", "user": "user-1"},
    "node_parameter_extractor": {"instruction": ""},
    "node_question_classifier": {"instruction": ""},
    "system_summary": {"instruction": ""},
}


def raw_body(kind: str, request: str) -> str:
    return TYPES[kind].body(CALL, Raw(request.encode())).decode()


def body(kind: str, request: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw_body(kind, json.dumps(request)))
    return found


class TypesTests(SynchronousTestCase):
    def refused(self, kind: str, request: object) -> str:
        with self.assertRaises(BadInvocation) as caught:
            body(kind, request)
        text = str(caught.exception)
        self.assertTrue(text.startswith("unmarshal backwards invoke request failed: error "), text)
        return text

    def test_least(self) -> None:
        """What is demanded is enough; what may be left out, or is null, is sent as the chapter says, in the name of tenant and user."""
        self.assertEqual(set(REQUIRED), set(TYPES))
        for kind, request in REQUIRED.items():
            more = STAND_INS.get(kind, {})
            whole = {"tenant_id": "tenant-1", "user_id": "user-1", "type": kind, **request, **more}
            self.assertEqual(body(kind, request), whole)
            self.assertEqual(body(kind, {**request, **dict.fromkeys(more)}), whole)

    def test_required(self) -> None:
        """Without a demanded member, or with null in its place, there is nothing to send, and the text names it."""
        for kind, request in REQUIRED.items():
            for name in request:
                for wrong in ({key: value for key, value in request.items() if key != name}, {**request, name: None}):
                    text = self.refused(kind, wrong)
                    self.assertIn(name, text)
                    self.assertIn("error validating struct: ", text)

    def test_forged_identity(self) -> None:
        """However a plugin spells tenant, user and type: they are the call's, and nothing else is sent beside them."""
        for kind, request in REQUIRED.items():
            forged = {"tenant_id": "evil", "User_Id": "evil", "TENANT_ID": "evil", "type": "evil", "Type": "evil", "\u212a": 1}
            sent = raw_body(kind, json.dumps({**request, **forged, "user": "evil"} if kind == "app" else {**request, **forged}))
            self.assertNotIn("evil", sent)
            self.assertEqual(json.loads(sent)["tenant_id"], "tenant-1")

    def test_spelling(self) -> None:
        """Another spelling of a known name is that name, unless the exact one is there."""
        self.assertEqual(body("moderation", {**MODEL, "TEXT": "loud"}), body("moderation", {**MODEL, "text": "loud"}))
        self.assertEqual(body("moderation", {**MODEL, "TEXT": "loud", "text": "low"}), body("moderation", {**MODEL, "text": "low"}))

    def test_spelling_inside(self) -> None:
        """That holds for the objects inside, too."""
        for kind, name, value, sent in (
            ("llm", "tools", [{"NAME": "n", "Parameters": {"A": 1}}], [{"name": "n", "description": "", "parameters": {"A": 1}}]),
            ("llm", "tool_choice", {"Mode": "tool", "Name": "n"}, {"mode": "tool", "name": "n"}),
            ("multimodal_embedding", "documents", [{"Content": "c", "Content_Type": "text"}], [DOCUMENT]),
            ("multimodal_rerank", "query", {"CONTENT": "c", "content": "d", "content_type": "text"}, {**DOCUMENT, "content": "d"}),
            ("node_question_classifier", "model", {**NODE, "Provider": "evil"}, NODE),
            ("node_question_classifier", "classes", [{"ID": "1", "name": "n", "more": 1}], [{"id": "1", "name": "n", "more": 1}]),
        ):
            self.assertEqual(body(kind, {**REQUIRED[kind], name: value})[name], sent)

    def test_unknown_members(self) -> None:
        """Members of a newer SDK reach Dify as they are, digit for digit."""
        members = ('"completion_params":{"seed":9007199254740993,"one":1.0}', '"model_type":"llm"', '"new":[1e3,null]')
        sent = raw_body("llm", "{" + ",".join(('"provider":"p","model":"m","mode":"chat"', *members)) + "}")
        for text in members:
            self.assertIn(text, sent)

    def test_prompts_pass(self) -> None:
        """Prompt messages are Dify's business."""
        prompt = [{"role": "developer", "content": None}, {"content": [{"type": "hologram"}], "opaque_body": {"a": [1]}}, 7]
        self.assertEqual(body("llm", {**LLM, "prompt_messages": prompt})["prompt_messages"], prompt)

    def test_tools(self) -> None:
        """Tools are completed; the choice of one is sent when there is one, and must mean something."""
        self.assertEqual(body("llm", {**LLM, "tools": [{"name": "n"}]})["tools"], [{"name": "n", "description": "", "parameters": {}}])
        self.assertNotIn("tool_choice", body("llm", {**LLM, "tool_choice": None}))
        for choice in ({"mode": "auto"}, {"mode": "tool", "name": "n"}):
            self.assertEqual(body("llm", {**LLM, "tool_choice": choice})["tool_choice"], choice)
        for wrong in ({"mode": "any"}, {"mode": "tool"}, {"mode": "tool", "name": " "}, {"name": "n"}, {}, "auto", ""):
            self.refused("llm", {**LLM, "tool_choice": wrong})

    def test_credential_type(self) -> None:
        """An empty type of a credential is not sent."""
        self.assertNotIn("credential_type", body("tool", {**REQUIRED["tool"], "credential_type": ""}))
        self.assertEqual(body("tool", {**REQUIRED["tool"], "credential_type": "oauth2"})["credential_type"], "oauth2")

    def test_fraction(self) -> None:
        """Of a fraction where an integer belongs the integer is sent; a number that may have one keeps it."""
        sent = body("rerank", {**REQUIRED["rerank"], "top_n": 3.9, "score_threshold": 0.5})
        self.assertEqual((sent["top_n"], sent["score_threshold"]), (3, 0.5))

    def test_wrong(self) -> None:
        """A value of the wrong type, or none that is known, is refused, and the text names the member."""
        for kind, name, value in (
            ("llm", "model", 7),
            ("llm", "stream", "yes"),
            ("llm", "tools", [{"name": ""}]),
            ("llm", "stop", "x"),
            ("llm", "completion_params", [1]),
            ("rerank", "top_n", "2"),
            ("rerank", "docs", [1]),
            ("tool", "tool_type", "app"),
            ("multimodal_embedding", "input_type", "other"),
            ("multimodal_rerank", "query", {"content": "a", "content_type": "video"}),
            ("node_parameter_extractor", "parameters", [{"name": "n", "type": "object"}]),
            ("node_question_classifier", "model", {**NODE, "mode": ""}),
        ):
            self.assertIn(name, self.refused(kind, {**REQUIRED[kind], name: value}))
