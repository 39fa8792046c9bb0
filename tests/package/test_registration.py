"""What a plugin under development sends is held to every rule, and becomes the declaration that its package would have."""

import json
from copy import deepcopy
from typing import Any

from difyd.package.errors import IllegalManifest, InvalidDeclaration, MissingIcon
from difyd.package.registration import MAX_MODEL, Registration, complete_model
from tests.package.samples import ICON, ICON_ID, PackageCase, plugin

TEXT = {"en_US": "Text"}
IDENTITY = {"author": "acme", "name": "demo", "label": TEXT}
PROVIDER = {**IDENTITY, "description": TEXT, "icon": "icon.svg", "icon_dark": None, "tags": []}
PARAMETER = {
    "name": "p",
    "type": "string",
    "form": "llm",
    "label": TEXT,
    "human_description": TEXT,
    "options": None,
    "show_on": [],
    "input_schema": None,
}
GOOD: dict[str, Any] = {
    "tool": {
        "identity": PROVIDER, "credentials_schema": [], "oauth_schema": None, "extra": {},
        "tools": [{"identity": IDENTITY, "description": {"human": TEXT, "llm": "text"}, "parameters": [PARAMETER], "output_schema": None}],
    },
    "model": {
        "provider": "demo", "label": TEXT, "icon_small": {"en_US": "icon.svg"}, "supported_model_types": ["llm"],
        "configurate_methods": ["predefined-model"], "position": {"llm": ["m"]},
        "models": [{"model": "m", "label": TEXT, "model_type": "llm", "parameter_rules": [{"name": "t", "use_template": "temperature"}]}],
    },
    "agent_strategy": {"identity": PROVIDER, "strategies": [
        {"identity": IDENTITY, "description": TEXT, "parameters": [{"name": "m", "type": "model-selector", "scope": "llm&x", "label": TEXT}]},
    ]},
    "endpoint": {"settings": [], "endpoints": [{"path": "/a", "method": "PATCH"}]},
    "datasource": {"identity": PROVIDER, "provider_type": "online_drive", "datasources": [
        {"identity": {**IDENTITY, "icon": "icon.svg"}, "description": TEXT, "parameters": []},
    ]},
    "trigger": {"identity": {**PROVIDER, "icon": None}, "subscription_schema": [], "events": [
        {"identity": IDENTITY, "description": TEXT, "parameters": [{"name": "p", "type": "checkbox", "label": TEXT}]},
    ]},
}  # fmt: skip


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy with another value at `path`."""
    value = deepcopy(value)
    *steps, last = path.split(".")
    at = value
    for step in steps:
        at = at[int(step) if step.isdigit() else step]
    at[last] = new
    return value


class RegistrationCase(PackageCase):
    def setUp(self) -> None:
        self.manifest = self.declared(plugin())
        del self.manifest["tool"], self.manifest["verified"]

    def register(self, *kinds: str, **changes: Any) -> Registration:
        registration = Registration()
        registration.declare_manifest(json.dumps({**self.manifest, **changes}).encode())
        for kind in kinds:
            registration.declare_providers(kind, json.dumps([GOOD[kind]]).encode())
        return registration

    def refused(self, kind: str, data: Any) -> str:
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        return str(self.assertRaises(InvalidDeclaration, Registration().declare_providers, kind, text))


class DeclarationTests(RegistrationCase):
    def test_every_kind(self) -> None:
        """What the SDK sends, nulls and members of its own included, breaks no rule."""
        for kind in GOOD:
            registration = self.register(kind)
            registration.check()
            declaration = json.loads(registration.remap({"icon.svg": ICON}).declaration)
            self.assertIn(kind, declaration)
            self.assertNotIn("extra", declaration[kind])

    def test_same_as_a_package(self) -> None:
        """The declaration has the keys and defaults that a package's has."""
        declaration = json.loads(self.register("tool").remap({"icon.svg": ICON}).declaration)
        from_package = json.loads(self.read(plugin()).remap().declaration)
        self.assertEqual(list(declaration), list(from_package))
        parameter, packaged = (value["tool"]["tools"][0]["parameters"][0] for value in (declaration, from_package))
        self.assertEqual(list(parameter), list(packaged))
        self.assertEqual((declaration["icon"], declaration["tool"]["identity"]["icon"]), (ICON_ID, ICON_ID))

    def test_models(self) -> None:
        """Templates are expanded, positions kept, the description taken from the plugin."""
        model = json.loads(self.register("model").remap({"icon.svg": ICON}).declaration)["model"]
        self.assertEqual((model["position"], model["description"]), ({"llm": ["m"]}, {"en_US": "A demonstration"}))
        self.assertEqual(model["models"][0]["parameter_rules"][0]["max"], 1)

    def test_first_counts(self) -> None:
        """Of a list of providers the first counts; an empty one is no provider."""
        registration = self.register()
        registration.declare_providers("endpoint", json.dumps([GOOD["endpoint"], {"endpoints": []}]).encode())
        registration.declare_providers("tool", b"[]")
        declaration = json.loads(registration.remap({"icon.svg": ICON}).declaration)
        self.assertEqual((len(declaration["endpoint"]["endpoints"]), "tool" in declaration), (1, False))

    def test_not_trusted(self) -> None:
        """`verified` and kinds inside of the manifest do not count."""
        registration = self.register(verified=True, model=GOOD["model"])
        self.assertFalse(json.loads(registration.remap({"icon.svg": ICON}).declaration)["verified"])
        self.assertIn("at least one of", str(self.assertRaises(IllegalManifest, registration.check)))

    def test_identity(self) -> None:
        """Author, name and version make the identifier's head."""
        self.assertEqual(self.register().identity, "acme/demo:0.0.1")
        self.assertEqual(self.register(author="").identity, "demo:0.0.1")

    def test_missing_icon(self) -> None:
        """An icon that was not sent is named with its place."""
        why = self.assertRaises(MissingIcon, self.register("tool").remap, {})
        self.assertEqual(str(why), "file not found: icon.svg\nfailed to remap tool icon")


class RefusalTests(RegistrationCase):
    def test_manifest(self) -> None:
        """A manifest that breaks a rule, or is none, is refused with the field."""
        cases: list[tuple[str, Any, str]] = [
            ("version", "v1", "version: "), ("version", None, "version: must not be empty"), ("label", {"zh_Hans": "x"}, "label.en_US: "),
            ("name", 5, "name: must be a string, not a number"), ("created_at", "yesterday", "created_at: "),
            ("created_at", None, "created_at: "),
            ("meta", None, "meta.version: must not be empty; meta.arch: must be a list"), ("resource", [], "resource: must be an object"),
        ]  # fmt: skip
        for path, value, said in cases:
            why = self.assertRaises(InvalidDeclaration, self.register, **{path: value})
            self.assertTrue(str(why).startswith(said), str(why))
        for data in (b"", b"[]", b"null x", b"[" * 100_000, b'{"a": NaN}'):
            self.assertRaises(InvalidDeclaration, Registration().declare_manifest, data)

    def test_times(self) -> None:
        """A time without a zone, as the SDK sends it, is UTC."""
        self.register(created_at="2025-01-01T10:00:00")

    def test_shapes(self) -> None:
        """What is no list of objects is refused."""
        for kind in GOOD:
            for data in ("text", 5, {"identity": {}}, [5], [[]], b"{"):
                self.assertTrue(self.refused(kind, data))

    def test_rules(self) -> None:
        """Every rule names its field, of whatever provider in the list."""
        cases: list[tuple[str, str, Any, str]] = [
            ("tool", "identity.name", None, "[0].identity.name: must not be empty"),
            ("tool", "identity.tags", ["x"], "[0].identity.tags: "),
            ("tool", "tools.0.parameters.0.type", "odd", "[0].tools[0].parameters[0].type: "),
            ("tool", "tools.0.parameters.0.scope", "llm", '[0].tools[0].parameters[0].scope: a "string" has no scope'),
            ("tool", "tools.0.identity.name", "a b", "[0].tools[0].identity.name: "),
            ("tool", "credentials_schema", [{"name": "a", "type": "any", "label": TEXT}], "[0].credentials_schema[0].type: "),
            ("tool", "credentials_schema", [{"type": "select", "label": TEXT, "default": []}], "[0].credentials_schema[0].default: "),
            ("model", "supported_model_types", ["odd"], "[0].supported_model_types: "),
            ("model", "supported_model_types", None, "[0].supported_model_types: must be a list"),
            ("model", "provider", "p" * 256, "[0].provider: must be shorter than 256"),
            ("model", "models.0.parameter_rules.0.use_template", "odd", "[0].models[0].parameter_rules[0]: use_template odd not found"),
            ("agent_strategy", "strategies.0.parameters.0.scope", "x&y", "[0].strategies[0].parameters[0].scope: "),
            ("agent_strategy", "strategies.0.description", None, "[0].strategies[0].description.en_US: "),
            ("endpoint", "endpoints.0.method", "FETCH", "[0].endpoints[0].method: "),
            ("datasource", "datasources.0.parameters", None, "[0].datasources[0].parameters: must be a list"),
            ("datasource", "provider_type", "odd", "[0].provider_type: "),
            ("trigger", "events.0.parameters.0.type", "any", "[0].events[0].parameters[0].type: "),
            ("trigger", "subscription_schema", None, "[0].subscription_schema: must be there"),
            ("tool", "identity.tags", [""], "[0].identity.tags: "),
            ("tool", "credentials_schema", "text", "[0].credentials_schema: must be a list"),
            ("tool", "tools", {"a": 1}, "[0].tools: must be a list"),
        ]  # fmt: skip
        for kind, path, value, said in cases:
            why = self.refused(kind, [changed(GOOD[kind], path, value)])
            self.assertTrue(why.startswith(said), why)
        without = {key: value for key, value in GOOD["model"].items() if key != "models"}
        self.assertEqual(self.refused("model", [without]), "[0].models: must be there, be it empty")
        self.assertTrue(self.refused("tool", [GOOD["tool"], {}]).startswith("[1].identity.author: "))

    def test_not_looked_at(self) -> None:
        """Models and the fields of a subscription are not held to rules."""
        for kind, path, value in (("model", "models.0.model_type", "odd"), ("trigger", "subscription_schema", [{"type": "odd"}])):
            Registration().declare_providers(kind, json.dumps([changed(GOOD[kind], path, value)]).encode())

    def test_strict_names(self) -> None:
        """Author and name are held to their patterns at the end."""
        self.assertIn("author must be", str(self.assertRaises(IllegalManifest, self.register("tool", author="Acme").check)))
        self.assertIn("model and datasource", str(self.assertRaises(IllegalManifest, self.register("tool", "model").check)))


class ModelSchemaTests(PackageCase):
    def test_completed(self) -> None:
        """A model's schema gets the defaults that one in a package has."""
        model = complete_model(
            b'{"model": "m", "pricing": {"input": 0.50, "unit": "1e-3"}, "parameter_rules": [{"name": "x", "use_template": "top_k"}]}'
        )
        self.assertEqual((model["fetch_from"], model["label"], model["pricing"]["unit"]), ("predefined-model", {"en_US": "m"}, "0.001"))
        self.assertEqual(model["parameter_rules"][0]["default"], 50)
        self.assertRaises(InvalidDeclaration, complete_model, b'{"model": 5}')

    def test_endless(self) -> None:
        """A schema that would hold up everybody else is refused before it is opened."""
        text = b'{"model": "%s"}' % (b"m" * MAX_MODEL)
        self.assertIn("larger than", str(self.assertRaises(InvalidDeclaration, complete_model, text)))
