"""The example with an agent strategy: a model that wants tools, and tools that answer, on the real SDK."""

import base64
from typing import Any

from examples.demo import TENANT
from tests.integration.example_house import USER, ExampleTestCase

MODEL = {"provider": "acme/models/models", "model": "clever", "mode": "chat", "model_type": "llm", "completion_params": {"temperature": 0}}
ENTITY = {
    "model": "clever", "label": {"en_US": "clever"}, "model_type": "llm", "features": ["tool-call"], "fetch_from": "predefined-model",
    "model_properties": {"mode": "chat", "context_size": 4096}, "deprecated": False, "parameter_rules": [],
}  # fmt: skip
HISTORY = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
DRAW = {
    "identity": {"author": "acme", "name": "draw", "label": {"en_US": "Draw"}, "provider": "acme/pens/pens"},
    "description": {"human": {"en_US": "Draws."}, "llm": "Draw something."},
    "parameters": [
        {"name": "what", "type": "string", "form": "llm", "required": True, "llm_description": "What to draw.",
         "label": {"en_US": "What"}, "human_description": {"en_US": "What to draw."}},
        {"name": "colour", "type": "string", "form": "form", "label": {"en_US": "Colour"}, "human_description": {"en_US": "Its colour."}},
    ],
    "runtime_parameters": {"colour": "red"}, "provider_type": "builtin", "credential_id": "c-1",
}  # fmt: skip
OFFERED = {
    "name": "draw",
    "description": "Draw something.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string", "description": "What to draw."}}, "required": ["what"]},
}
PICTURE = bytes(range(256)) * 100


def says(content: str, *calls: tuple[str, str, str]) -> dict[str, Any]:
    """A chunk of the model: words, and the tools that it wants."""
    wanted = [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} for id, name, arguments in calls]
    message = {"role": "assistant", "content": content, "tool_calls": wanted}
    return {"model": "clever", "prompt_messages": [], "delta": {"index": 0, "message": message}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "message": {"text": words}, "meta": None}


class AgentTests(ExampleTestCase):
    example = "tool_agent"

    def setUp(self) -> None:
        super().setUp()
        self.dify.asked.clear()

    def run_rounds(self, **changes: Any) -> list[Any]:
        """The messages of a run; logs become their label, status, error and data, after a check of how they hang together."""
        parameters = {
            "model": {**MODEL, "entity": ENTITY, "history_prompt_messages": HISTORY}, "tools": [DRAW], "instruction": "Be brief.",
            "query": "Draw a house.", "maximum_iterations": 3, **changes,
        }  # fmt: skip
        messages = self.client.chunks(
            "agent_strategy/invoke", envelope={"app_id": "app-1", "context": {}},
            agent_strategy_provider="agent", agent_strategy="rounds", agent_strategy_params=parameters,
        )  # fmt: skip
        self.ids: dict[str, str] = {}
        return [self.read(message) for message in messages]

    def read(self, message: dict[str, Any]) -> Any:
        if message["type"] != "log":
            return message
        log = message["message"]
        self.assertEqual(self.ids.setdefault(log["label"], log["id"]), log["id"], "what starts and what ends are the same")
        self.assertEqual(log["parent_id"], self.ids.get("Round 1") if log["label"].startswith("Tool") else None)
        return (log["label"], log["status"], log["error"], log["data"])

    def test_rounds(self) -> None:
        """The model's words are streamed, its tools run with what it wants and what the app sets, and it is asked again with their answers."""
        self.dify.script = {
            "invoke/llm": [[says("A "), says("house:"), says("", ("c1", "draw", '{"what": "house"}'))], [says("Done.")]],
            "invoke/tool": [[text("drawn"), {"type": "json", "message": {"json_object": {"walls": 4}}, "meta": None}]],
        }
        arguments = {"arguments": '{"what": "house"}'}
        self.assertEqual(self.run_rounds(), [
            ("Round 1", "start", None, {}),
            text("A "),
            text("house:"),
            ("Tool draw", "start", None, arguments),
            ("Tool draw", "success", None, {"output": ["drawn", '{"walls": 4}']}),
            ("Round 1", "success", None, {"text": "A house:", "tools": ["draw"]}),
            ("Round 2", "start", None, {}),
            text("Done."),
            ("Round 2", "success", None, {"text": "Done.", "tools": []}),
        ])  # fmt: skip
        (first, asked), (tool, order), (second, again) = self.dify.asked
        self.assertEqual((first, tool, second), ("invoke/llm", "invoke/tool", "invoke/llm"))
        self.assertEqual((asked["tenant_id"], asked["user_id"], asked["model"], asked["tools"]), (TENANT, USER, "clever", [OFFERED]))
        self.assertEqual(
            [(message["role"], message["content"]) for message in asked["prompt_messages"]],
            [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Draw a house.")],
        )
        self.assertEqual((order["tool_type"], order["provider"], order["tool"]), ("builtin", "acme/pens/pens", "draw"))
        self.assertEqual((order["tool_parameters"], order["credential_id"]), ({"colour": "red", "what": "house"}, "c-1"))
        wanted, answer = again["prompt_messages"][-2:]
        self.assertEqual((wanted["content"], wanted["tool_calls"][0]["id"]), ("A house:", "c1"))
        self.assertEqual((answer["role"], answer["tool_call_id"], answer["content"]), ("tool", "c1", 'drawn\n{"walls": 4}'))

    def test_files(self) -> None:
        """A file of a tool reaches the reader whole, in one message."""
        image = {"type": "image_link", "message": {"text": "https://files/1.png"}, "meta": {"mime_type": "image/png"}}
        blob = {"type": "blob", "message": {"blob": base64.b64encode(PICTURE).decode()}, "meta": {"mime_type": "image/x"}}
        self.dify.script = {
            "invoke/llm": [[says("", ("c1", "draw", '{"what": "cat"}'))], [says("There.")]],
            "invoke/tool": [[image, blob]],
        }
        told = self.run_rounds()
        self.assertEqual([message for message in told if isinstance(message, dict)], [image, blob, text("There.")])
        self.assertIn(("Tool draw", "success", None, {"output": ["A file was made. The user sees it."] * 2}), told)

    def test_failing_tool(self) -> None:
        """What goes wrong with a tool is logged, and told to the model; the run goes on."""
        self.dify.script = {"invoke/llm": [[says("", ("c1", "dance", "{}"))], [says("Sorry.")]]}
        told = self.run_rounds()
        self.assertIn(("Tool dance", "error", "there is no tool dance", {"arguments": "{}"}), told)
        self.assertEqual(told[-2], text("Sorry."))
        (_, _), (_, again) = self.dify.asked
        self.assertEqual(again["prompt_messages"][-1]["content"], "The tool failed: there is no tool dance")

    def test_last_round(self) -> None:
        """In its last round the model is offered no tools."""
        self.dify.script = {"invoke/llm": [[says("I know it.")]]}
        self.assertEqual(self.run_rounds(maximum_iterations=1)[1], text("I know it."))
        ((_, asked),) = self.dify.asked
        self.assertFalse(asked["tools"])

    def test_bad_form(self) -> None:
        """A form that is not filled in ends the call with the plugin's own words."""
        kind, words = self.client.refusal(
            "agent_strategy/invoke", agent_strategy_provider="agent", agent_strategy="rounds", agent_strategy_params={"query": "?"}
        )
        self.assertEqual(kind, "ValidationError")
        self.assertIn("model\n  Field required", words)

    def test_listed(self) -> None:
        """The strategy is listed, with its form and what it can do."""
        (listed,) = self.client.json("/management/agent_strategies?page=1&page_size=10")
        (strategy,) = listed["declaration"]["strategies"]
        self.assertEqual((listed["provider"], listed["plugin_id"], listed["meta"]["version"]), ("agent", "difyd/tool_agent", "0.0.1"))
        self.assertEqual((strategy["identity"]["name"], strategy["features"]), ("rounds", ["history-messages"]))
        self.assertEqual(
            [(parameter["name"], parameter["type"]) for parameter in strategy["parameters"]],
            [("model", "model-selector"), ("tools", "array[tools]"), ("instruction", "string"), ("query", "string"),
             ("maximum_iterations", "number")],
        )  # fmt: skip
