"""Model providers: files by patterns, positions, parameter rules, prices."""

from typing import Any

from difyd.package.errors import UnreadablePackage
from difyd.package.kinds.templates import TEMPLATES
from tests.package.samples import ICON_ID, PackageCase, of_kind

MODEL = {
    "model": "", "label": {"en_US": ""}, "model_type": "", "features": None, "fetch_from": "predefined-model", "model_properties": {},
    "deprecated": False, "parameter_rules": [], "pricing": None,
}  # fmt: skip
RULE = {
    "name": "x", "use_template": None, "label": {"en_US": "x"}, "type": None, "help": None, "required": False, "default": None, "min": None,
    "max": None, "precision": None, "options": [],
}  # fmt: skip
GLOB = 'models: {llm: {predefined: ["m/*.yaml"]}}\n'


class ModelCase(PackageCase):
    def files(self, text: str, models: dict[str, str] | None = None) -> dict[str, bytes]:
        return of_kind("models", {"provider.yaml": text, **(models or {})})

    def provider(self, text: str, models: dict[str, str] | None = None) -> Any:
        return self.declared(self.files(text, models))["model"]

    def model(self, text: str) -> Any:
        (model,) = self.provider(GLOB, {"m/a.yaml": text})["models"]
        return model

    def rule(self, fields: str) -> Any:
        return self.model(f"parameter_rules: [{{name: x, {fields}}}]\n")["parameter_rules"][0]


class ProviderTests(ModelCase):
    def test_empty(self) -> None:
        """An empty provider has all its keys; its description is the plugin's."""
        empty = {
            "provider": "", "label": {"en_US": ""}, "description": {"en_US": "A demonstration"}, "icon_small": None, "icon_large": None,
            "icon_small_dark": None, "icon_large_dark": None, "background": None, "help": None, "supported_model_types": None,
            "configurate_methods": None, "provider_credential_schema": None, "model_credential_schema": None, "models": [],
        }  # fmt: skip
        found = self.provider("")
        self.assertEqual((found, list(found)), (empty, list(empty)))

    def test_form(self) -> None:
        """A credential form, whose lists are never null."""
        (field,) = self.provider("provider_credential_schema: {credential_form_schemas: [{default: 1, options: [{value: 2}]}]}\n")[
            "provider_credential_schema"
        ]["credential_form_schemas"]
        self.assertEqual(field, {
            "variable": "", "label": {"en_US": ""}, "type": "", "required": False, "default": "1",
            "options": [{"label": {"en_US": ""}, "value": "2", "show_on": []}], "help": None, "url": None, "placeholder": None, "max_length": 0,
            "show_on": [],
        })  # fmt: skip
        self.assertEqual(
            self.provider("model_credential_schema: {}\n")["model_credential_schema"],
            {"model": {"label": {"en_US": ""}, "placeholder": None}, "credential_form_schemas": []},
        )

    def test_icons(self) -> None:
        """Icons are named by size, shade and language."""
        remapped = self.read(self.files("icon_small: {en_US: icon.svg, ja_JP: icon.svg}\n")).remap()
        self.assertEqual(remapped.declaration.count(ICON_ID.encode()), 3)
        self.assertEqual([asset.id for asset in remapped.assets], [ICON_ID])


class FilesTests(ModelCase):
    def found(self, *patterns: str) -> list[str]:
        paths = ["m/b.yaml", "m/a.yaml", "m/sub/c.yaml", "m/_position.yaml", "m/x_position.yaml", "m/a.yml", "other/a.yaml"]
        listed = ", ".join(f"'{pattern}'" for pattern in patterns)
        models = self.provider(f"models: {{llm: {{predefined: [{listed}]}}}}\n", {path: f"model: {path}\n" for path in paths})["models"]
        return [model["model"] for model in models]

    def test_patterns(self) -> None:
        """Files that a pattern matches, in the package's order, each once; position files are no models."""
        self.assertEqual(self.found("m/*.yaml"), ["m/b.yaml", "m/a.yaml"])
        self.assertEqual(self.found("m/a.yaml", "m/[ab].yaml"), ["m/b.yaml", "m/a.yaml"])
        self.assertEqual(self.found("m/**/*.yaml", "other/?.yaml"), ["m/sub/c.yaml", "other/a.yaml"])
        self.assertEqual(self.found("./m/*.yaml", "m", "m/_position.yaml"), [])

    def test_all_types(self) -> None:
        """Patterns of all types are matched together; a type that nobody knows is passed over."""
        groups = '{tts: {predefined: ["b/*"]}, other: {predefined: ["c/*"]}, llm: {predefined: ["a/*"]}, rerank: }'
        models = self.provider(f"models: {groups}\n", {f"{name}/m.yaml": f"model: {name}\n" for name in "bca"})["models"]
        self.assertEqual([model["model"] for model in models], ["b", "a"])

    def test_bad_pattern(self) -> None:
        """A broken pattern is refused."""
        self.assertIn("syntax error in pattern", self.refusal(self.files('models: {llm: {predefined: ["m/["]}}\n'), UnreadablePackage))

    def test_too_many_patterns(self) -> None:
        """Matching ends in reasonable time: so many patterns for so many files are refused."""
        listed = ", ".join(f"'{number}/*'" for number in range(1500))
        files = self.files(f"models: {{llm: {{predefined: [{listed}]}}}}\n", {f"f{number}": "" for number in range(1500)})
        self.assertIn("too many patterns", self.refusal(files, UnreadablePackage))

    def test_inline(self) -> None:
        """A list holds the models themselves; `model_declarations` come before files."""
        self.assertEqual([model["model"] for model in self.provider("models: [{model: a}, {model: b}]\n")["models"]], ["a", "b"])
        mixed = self.provider(GLOB + "model_declarations: [{model: d}]\n", {"m/a.yaml": "model: a\n"})
        self.assertEqual([model["model"] for model in mixed["models"]], ["d", "a"])

    def test_position(self) -> None:
        """Names as text by type; there, perhaps empty, when `models` is a mapping, and only then."""
        files = {"p.yaml": "- b\n- 4.10\n- yes\n"}
        self.assertEqual(self.provider("models: {tts: {position: p.yaml}, llm: {}}\n", files)["position"], {"tts": ["b", "4.10", "yes"]})
        self.assertEqual(self.provider("models: {}\n")["position"], {})
        for text in ("models: []\n", "models:\n", "", "position: {llm: [a]}\n"):
            self.assertNotIn("position", self.provider(text))

    def test_errors(self) -> None:
        """Every file that is missing or broken is named."""
        cases = {
            "open p.yaml: file does not exist\nfailed to read text embedding position file: p.yaml": {},
            "failed to unmarshal text embedding position file: p.yaml": {"p.yaml": "{a: b}\n"},
        }
        for said, files in cases.items():
            refusal = self.refusal(self.files("models: {text_embedding: {position: p.yaml}}\n", files), UnreadablePackage)
            self.assertTrue(refusal.endswith(said), refusal)
        refusal = self.refusal(self.files(GLOB, {"m/a.yaml": "model: [a]\n"}), UnreadablePackage)
        self.assertTrue(refusal.startswith("yaml: ") and refusal.endswith("failed to unmarshal model file: m/a.yaml"), refusal)


class ModelTests(ModelCase):
    def test_empty(self) -> None:
        """An empty model has all its keys; without an English label it is labelled with its name."""
        self.assertEqual(self.model(""), MODEL)
        self.assertEqual(self.model("model: a\nlabel: {ja_JP: 名}\n"), {**MODEL, "model": "a", "label": {"en_US": "a", "ja_JP": "名"}})

    def test_properties(self) -> None:
        """Properties are free; their keys are text at every depth."""
        self.assertEqual(
            self.model("model_properties: {mode: chat, 1.50: a, voices: [{mode: 010, 1: ~}]}\n")["model_properties"],
            {"1.50": "a", "mode": "chat", "voices": [{"1": None, "mode": 8}]},
        )

    def test_pricing(self) -> None:
        """Prices are exact texts; an absent one is zero, an absent output price null."""
        self.assertEqual(self.model("pricing: {}\n")["pricing"], {"input": "0", "output": None, "unit": "0", "currency": ""})
        self.assertEqual(
            self.model("pricing: {input: 2.50, output: '1e1', unit: 1e-6, currency: USD}\n")["pricing"],
            {"input": "2.5", "output": "10", "unit": "0.000001", "currency": "USD"},
        )
        self.assertIn("can't convert", self.refusal(self.files(GLOB, {"m/a.yaml": "pricing: {input: abc}\n"}), UnreadablePackage))


class RuleTests(ModelCase):
    def test_plain(self) -> None:
        """A rule without a template is labelled with its name."""
        self.assertEqual(self.rule("options: [1, yes], default: 1.0"), {**RULE, "options": ["1", "yes"], "default": 1})
        self.assertEqual(self.rule("label: {zh_Hans: 甲}, use_template: ''"), {**RULE, "use_template": ""})

    def test_templates(self) -> None:
        """What a rule does not say comes from its template, its label too."""
        for name, template in TEMPLATES.items():
            self.assertEqual(
                self.rule(f"use_template: {name}"), {**RULE, **template, "use_template": name, "options": template["options"] or []}
            )

    def test_own_words(self) -> None:
        """What a rule says beats its template, zero and an empty list included; nulls say nothing."""
        rule = self.rule("use_template: response_format, label: {en_US: L}, default: 0, min: 0, type: ~, options: [], help: {ja_JP: 助}")
        self.assertEqual(rule, {
            **RULE, "use_template": "response_format", "label": {"en_US": "L"}, "type": "string", "default": 0, "min": 0,
            "help": {"en_US": "", "ja_JP": "助"},
        })  # fmt: skip

    def test_rules_share_nothing(self) -> None:
        """Two rules of one template are not one value."""
        first, second = self.rule("use_template: top_p"), self.rule("use_template: top_p")
        self.assertIsNot(first["help"], second["help"])

    def test_unknown_template(self) -> None:
        """A template that nobody knows is refused by its name."""
        files = self.files(GLOB, {"m/a.yaml": "parameter_rules: [{name: x, use_template: nope}]\n"})
        self.assertIn("use_template nope not found", self.refusal(files, UnreadablePackage))
