"""Agent strategies, endpoints, datasources and triggers, to the last key."""

from typing import Any

from difyd.package.errors import UnreadablePackage
from tests.package.samples import IDENTITY, PackageCase, of_kind

EMPTY = {"author": "", "name": "", "label": {"en_US": ""}}


class KindCase(PackageCase):
    files: str
    kind: str

    def provider(self, text: str, files: dict[str, str] | None = None) -> Any:
        return self.declared(of_kind(self.files, {"provider.yaml": text, **(files or {})}))[self.kind]

    def refused(self, text: str) -> str:
        return self.refusal(of_kind(self.files, {"provider.yaml": text}), UnreadablePackage)

    def same(self, found: Any, wanted: dict[str, Any]) -> None:
        """Equal, and the keys in the same order."""
        self.assertEqual((found, list(found)), (wanted, list(wanted)))


class AgentStrategyTests(KindCase):
    files, kind = "agent_strategies", "agent_strategy"

    def test_provider(self) -> None:
        """A provider takes nothing from the plugin."""
        provider = self.provider(IDENTITY)
        self.assertEqual((provider["identity"]["description"], provider["identity"]["tags"], provider["strategies"]), ({"en_US": ""}, [], []))

    def test_strategy(self) -> None:
        """An empty strategy file, and a bare parameter."""
        (strategy,) = self.provider(IDENTITY + "strategies: [s.yaml]\n", {"s.yaml": ""})["strategies"]
        self.same(strategy, {"identity": EMPTY, "description": {"en_US": ""}, "parameters": None, "output_schema": None, "features": []})
        (strategy,) = self.provider(IDENTITY + "strategies: [{parameters: [{}], output_schema: {}, features: [1]}]\n")["strategies"]
        self.assertEqual((strategy["output_schema"], strategy["features"]), ({}, ["1"]))
        self.same(strategy["parameters"][0], {
            "name": "", "label": {"en_US": ""}, "help": {"en_US": ""}, "type": "", "auto_generate": None, "template": None, "scope": None,
            "required": False, "default": None, "min": None, "max": None, "precision": None, "options": None,
        })  # fmt: skip


class EndpointTests(KindCase):
    files, kind = "endpoints", "endpoint"

    def test_group(self) -> None:
        """Settings are a list, endpoints null when there are none."""
        for text in ("", "settings: []\nendpoints: []\n"):
            self.same(self.provider(text), {"settings": [], "endpoints": None})
        group = self.provider("endpoints: [e.yaml, {path: /x, method: GET, hidden: Yes}]\n", {"e.yaml": "path: /a/<id>\nmethod: PUT\n"})
        self.assertEqual(group["endpoints"], [
            {"path": "/x", "method": "GET", "hidden": True}, {"path": "/a/<id>", "method": "PUT", "hidden": False},
        ])  # fmt: skip

    def test_refused(self) -> None:
        """Settings are no mapping; a broken endpoint does not end the list in silence."""
        self.assertTrue(self.refused("settings: {a: {}}\n").startswith("yaml: "))
        self.assertIn("endpoints[0].path", self.refused("endpoints: [{path: [1]}, {path: /b}]\n"))


class DatasourceTests(KindCase):
    files, kind = "datasources", "datasource"

    def test_provider(self) -> None:
        """A provider takes nothing from the plugin and has no dark icon."""
        provider = self.provider(IDENTITY)
        self.same(provider["identity"], {
            "author": "acme", "name": "demo", "description": {"en_US": ""}, "icon": "icon.svg", "label": {"en_US": "Demo"}, "tags": [],
        })  # fmt: skip
        self.assertEqual(list(provider), ["identity", "credentials_schema", "oauth_schema", "provider_type", "datasources"])

    def test_datasource(self) -> None:
        """An empty datasource, and a bare parameter."""
        (datasource,) = self.provider(IDENTITY + "datasources: [d.yaml]\n", {"d.yaml": ""})["datasources"]
        self.same(datasource, {"identity": {**EMPTY, "icon": ""}, "parameters": None, "description": {"en_US": ""}})
        (datasource,) = self.provider(IDENTITY + "datasources: [{parameters: [{}]}]\n")["datasources"]
        self.same(datasource["parameters"][0], {
            "name": "", "label": {"en_US": ""}, "type": "", "scope": None, "required": False, "auto_generate": None, "template": None,
            "default": None, "min": None, "max": None, "precision": None, "options": None, "description": {"en_US": ""},
        })  # fmt: skip


class TriggerTests(KindCase):
    files, kind = "triggers", "trigger"

    def test_provider(self) -> None:
        """A provider takes description and tags from the plugin; what it does not say is empty or null."""
        provider = self.provider(IDENTITY + "credentials_schema: [{name: ignored}]\n")
        self.assertEqual(provider.pop("identity")["description"], {"en_US": "A demonstration"})
        self.same(provider, {"subscription_schema": [], "subscription_constructor": None, "events": []})

    def test_constructor(self) -> None:
        """A constructor counts as a mapping only; its OAuth schema is left out when there is none."""
        self.assertIsNone(self.provider(IDENTITY + "subscription_constructor: text\n")["subscription_constructor"])
        for text in ("{}", "{oauth_schema: ~}"):
            found = self.provider(IDENTITY + f"subscription_constructor: {text}\n")["subscription_constructor"]
            self.assertEqual(found, {"parameters": [], "credentials_schema": []})
        found = self.provider(IDENTITY + "subscription_constructor: {oauth_schema: {}, credentials_schema: {a: {}}}\n")[
            "subscription_constructor"
        ]
        self.assertEqual(found["oauth_schema"], {"client_schema": [], "credentials_schema": []})
        self.assertEqual(found["credentials_schema"][0]["name"], "a")

    def test_event(self) -> None:
        """Empty fields of an event parameter are left out, zeros are not."""
        (event,) = self.provider(IDENTITY + "events: [e.yaml]\n", {"e.yaml": ""})["events"]
        self.same(event, {"identity": EMPTY, "parameters": None, "description": {"en_US": ""}})
        text = (
            "events: [{parameters: [{}, {multiple: yes, default: 0, min: 0, precision: 0, options: [{value: 2.5, icon: x}, {}], scope: ''}]}]\n"
        )
        bare, full = self.provider(IDENTITY + text)["events"][0]["parameters"]
        self.same(bare, {"name": "", "label": {"en_US": ""}, "type": "", "required": False})
        self.same(full, {
            **{key: bare[key] for key in ("name", "label", "type")}, "scope": "", "required": False, "multiple": True, "default": 0, "min": 0,
            "precision": 0, "options": [{"label": {"en_US": ""}, "value": 2.5}, {"label": {"en_US": ""}, "value": None}],
        })  # fmt: skip

    def test_parts_are_announced(self) -> None:
        """A broken part is named before its cause, the file behind it."""
        cases = {
            "subscription_schema: {a: {}, b: text}\n": "subscription_schema: expected mapping value for key b",
            "subscription_constructor: {credentials_schema: {a: 5}}\n": "subscription_constructor.credentials_schema: expected mapping value",
            "subscription_constructor: {parameters: text}\n": "subscription_constructor.parameters: yaml: unmarshal errors:",
            "subscription_constructor: {oauth_schema: [a]}\n": "subscription_constructor.oauth_schema: yaml: unmarshal errors:",
        }
        for text, said in cases.items():
            refusal = self.refused(IDENTITY + text)
            self.assertTrue(refusal.startswith(f"failed to parse {said}"), refusal)
            self.assertTrue(refusal.endswith("\nfailed to unmarshal plugin file: provider.yaml"), refusal)
