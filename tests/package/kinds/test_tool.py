"""Tool providers and tools, to the last key."""

import json
from typing import Any

from difyd.package.errors import UnreadablePackage
from tests.package.samples import IDENTITY, TOOL, PackageCase, plugin

CONFIG = {
    "name": "", "type": "", "scope": None, "required": False, "default": None, "options": None, "multiple": False, "label": {"en_US": ""},
    "help": None, "url": None, "placeholder": None,
}  # fmt: skip
PARAMETER = {
    "name": "", "label": {"en_US": ""}, "human_description": {"en_US": ""}, "type": "", "scope": None, "form": "", "llm_description": "",
    "required": False, "auto_generate": None, "template": None, "default": None, "min": None, "max": None, "multiple": False, "precision": None,
    "options": None,
}  # fmt: skip


class ToolTests(PackageCase):
    def provider(self, text: str = "", tool: str = TOOL) -> Any:
        """The tool provider of a plugin, with `text` in its file."""
        return self.declared(plugin({"provider/demo.yaml": IDENTITY + text, "tools/say.yaml": tool}))["tool"]

    def tool(self, text: str) -> Any:
        return self.provider("tools: [tools/say.yaml]\n", text)["tools"][0]

    def test_provider(self) -> None:
        """An almost empty provider has all its keys, and takes description and tags from the plugin."""
        provider = self.provider()
        identity = {
            "author": "acme", "name": "demo", "description": {"en_US": "A demonstration"}, "icon": "icon.svg", "icon_dark": "",
            "label": {"en_US": "Demo"}, "tags": [],
        }  # fmt: skip
        self.assertEqual(provider, {"identity": identity, "credentials_schema": [], "oauth_schema": None, "tools": []})
        self.assertEqual(list(provider), ["identity", "credentials_schema", "oauth_schema", "tools"])
        self.assertEqual(list(provider["identity"]), list(identity))

    def test_inherited(self) -> None:
        """What the provider says itself is kept; a description without English is replaced whole."""
        head = IDENTITY.replace("icon: icon.svg", "icon: icon.svg, tags: [search], description: {zh_Hans: 自己}")
        self.assertEqual(self.declared(plugin({"provider/demo.yaml": head}))["tool"]["identity"]["tags"], ["search"])
        self.assertEqual(self.declared(plugin({"provider/demo.yaml": head}))["tool"]["identity"]["description"], {"en_US": "A demonstration"})

    def test_empty_tool(self) -> None:
        """An empty tool file is a tool whose fields are all empty; an empty output schema is left out."""
        empty = {
            "identity": {"author": "", "name": "", "label": {"en_US": ""}}, "description": {"human": {"en_US": ""}, "llm": ""},
            "parameters": None, "has_runtime_parameters": False,
        }  # fmt: skip
        self.assertEqual(self.tool(""), empty)
        self.assertEqual(self.tool("output_schema: {}\nparameters: []\n"), {**empty, "parameters": []})

    def test_parameter(self) -> None:
        """All keys of a parameter are there, in their order."""
        (bare,) = self.tool("parameters: [{}]\n")["parameters"]
        self.assertEqual((bare, list(bare)), (PARAMETER, list(PARAMETER)))

    def test_parameter_values(self) -> None:
        """Each field of a parameter by its type."""
        (given,) = self.tool(
            "parameters:\n  - {name: 5, required: yes, default: [1, {a: 1.0}], min: 1.0, max: 2.5, precision: 2.9, multiple: on,\n"
            "     scope: '', auto_generate: {type: prompt_instruction}, template: {}, options: [{value: true, label: {en_US: Yes}}, ~]}\n"
        )["parameters"]
        changed = {
            "name": "5", "required": True, "default": [1, {"a": 1}], "min": 1, "max": 2.5, "precision": 2, "multiple": True, "scope": "",
            "auto_generate": {"type": "prompt_instruction"}, "template": {"enabled": False},
            "options": [{"value": "true", "label": {"en_US": "Yes"}, "icon": ""}],
        }  # fmt: skip
        self.assertEqual(given, {**PARAMETER, **changed})

    def test_newer_fields(self) -> None:
        """Fields of newer SDKs go through unchanged, unless they say nothing."""
        children = [{"value": 1, "label": {"en_US": "One"}, "children": [{"value": "x", "label": {"en_US": "X"}}]}]
        newer = {"placeholder": {"en_US": "Here", "zh_Hans": None, "ko_KR": "X"}, "input_schema": {"a": 1}, "dynamic_select_lazy_load": False}
        conditions = {"show_on": [{"variable": "a", "value": "b"}]}
        parameter = {**newer, **conditions, "options": [{"value": "a", **conditions, "children": children}]}
        given, empty = self.tool(f"parameters: {json.dumps([parameter, {'show_on': []}])}\n")["parameters"]
        option = {"value": "a", "label": {"en_US": ""}, "icon": "", **conditions, "children": children}
        self.assertEqual(given, {**PARAMETER, "options": [option], **newer, **conditions})
        self.assertEqual(empty, PARAMETER)

    def test_newer_fields_of_another_shape(self) -> None:
        """They are left out: the reference never looked at them, and clients fail the whole list of tools for one."""
        for field in (
            "placeholder: Enter a name",
            "placeholder: {zh_Hans: X}",
            "placeholder: {en_US: 5}",
            "placeholder: {en_US: .nan}",
            "placeholder: {en_US: a, en_US: b}",
            "input_schema: '{}'",
            "input_schema: []",
            "show_on: {a: b}",
            "show_on: [a]",
            "show_on: [{variable: a}]",
            "show_on: [{variable: a, value: true}]",
            "dynamic_select_lazy_load: yes",
        ):
            self.assertEqual(self.tool(f"parameters: [{{{field}}}]\n")["parameters"], [PARAMETER], field)
        for children in ("x", "[x]", "[{value: a}]", "[{value: a, label: {en_US: A}, children: x}]", "[{value: [], label: {en_US: A}}]"):
            (given,) = self.tool(f"parameters: [{{options: [{{value: a, children: {children}}}]}}]\n")["parameters"]
            self.assertEqual(given["options"], [{"value": "a", "label": {"en_US": ""}, "icon": ""}], children)

    def test_order_of_tools(self) -> None:
        """Tools in the provider file come before those in files; what is no list is ignored."""
        tools = self.provider("tools: [tools/say.yaml, {identity: {name: inline}}, ~]\n")["tools"]
        self.assertEqual([tool["identity"]["name"] for tool in tools], ["inline", "say"])
        for text in ("tools: 5\n", "tools: {a: b}\n", "tools:\n"):
            self.assertEqual(self.provider(text)["tools"], [])

    def test_credentials(self) -> None:
        """A list, or the older mapping by name, whose order counts and whose odd entries are passed over."""
        as_list = self.provider("credentials_schema: [{name: one}, {name: two, default: 1.0}]\n")["credentials_schema"]
        self.assertEqual(as_list, [{**CONFIG, "name": "one"}, {**CONFIG, "name": "two", "default": 1}])
        as_mapping = self.provider("credentials_for_provider: {one: {name: other}, x: text, two: {default: 1.0}}\n")["credentials_schema"]
        self.assertEqual(as_mapping, as_list)
        self.assertEqual(list(as_list[0]), list(CONFIG))

    def test_both_credential_keys(self) -> None:
        """The older key counts only where the newer one says nothing."""
        cases = {
            "credentials_schema: [{name: a}]\ncredentials_for_provider: {b: {}}\n": ["a"],
            "credentials_schema: {}\ncredentials_for_provider: {b: {}}\n": ["b"],
            "credentials_schema: text\ncredentials_for_provider: {b: {}}\n": ["b"],
            "credentials_schema: text\ncredentials_for_provider: 5\n": [],
        }
        for text, names in cases.items():
            self.assertEqual([config["name"] for config in self.provider(text)["credentials_schema"]], names)

    def test_oauth(self) -> None:
        """An OAuth schema has two lists, also when nobody wrote them; no schema is null."""
        self.assertIsNone(self.provider("oauth_schema:\n")["oauth_schema"])
        self.assertEqual(self.provider("oauth_schema: {auth_url: x}\n")["oauth_schema"], {"client_schema": [], "credentials_schema": []})
        self.assertEqual(
            self.provider("oauth_schema: {client_schema: [{name: id}]}\n")["oauth_schema"]["client_schema"], [{**CONFIG, "name": "id"}]
        )
        files = plugin({"provider/demo.yaml": IDENTITY + "oauth_schema: {client_schema: {id: {}}}\n"})
        self.assertTrue(self.refusal(files, UnreadablePackage).endswith("\nfailed to unmarshal plugin file: provider/demo.yaml"))
