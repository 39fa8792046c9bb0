"""The manifest, and the rules across its fields."""

import json
from typing import Any

from difyd.package.errors import IllegalManifest, UnreadablePackage
from difyd.package.manifest import MANIFEST, check_manifest
from tests.package.samples import HEAD, PackageCase, plugin

KINDS = ("model", "agent_strategy", "datasource", "trigger", "tool", "endpoint")
LEAST = "author: acme\nname: demo\nversion: 0.0.1\nplugins: {tools: [provider/demo.yaml]}\n"


class ManifestTests(PackageCase):
    def manifest(self, text: str) -> Any:
        return self.declared(plugin({"manifest.yaml": text}))

    def test_least(self) -> None:
        """What is absent has its empty value, in the order that clients know."""
        found = self.manifest(LEAST)
        found.pop("tool")
        least = {
            "version": "0.0.1", "type": "", "author": "acme", "name": "demo", "label": {"en_US": ""}, "description": {"en_US": ""}, "icon": "",
            "icon_dark": "", "resource": {"memory": 0},
            "plugins": {
                "tools": ["provider/demo.yaml"], "models": None, "endpoints": None, "agent_strategies": None, "datasources": None,
                "triggers": None,
            },
            "meta": {
                "version": "", "arch": None, "runner": {"language": "", "version": "", "entrypoint": ""}, "minimum_dify_version": None,
            },
            "tags": [], "created_at": "0001-01-01T00:00:00Z", "verified": False,
        }  # fmt: skip
        self.assertEqual((found, list(found)), (least, list(least)))

    def test_optional(self) -> None:
        """`privacy` and `repo` are kept as written and left out when null; `verified` is never believed."""
        found = self.manifest(LEAST + "privacy: ''\nrepo: 5\nverified: true\n")
        self.assertEqual((found["privacy"], found["repo"], found["verified"]), ("", "5", False))
        found = self.manifest(LEAST + "privacy:\nrepo: ~\n")
        self.assertNotIn("privacy", found)
        self.assertNotIn("repo", found)

    def test_minimum_version(self) -> None:
        """The version of Dify that is needed is handed through unjudged; an empty one is none, since clients could not read it."""
        for text, wanted in (("1.10", "1.10"), ("soon", "soon"), ("''", None), ("", None)):
            self.assertEqual(self.manifest(LEAST + f"meta: {{minimum_dify_version: {text}}}\n")["meta"]["minimum_dify_version"], wanted)

    def test_permission(self) -> None:
        """A group is there when it was written."""
        cases = {
            "": None,
            "{}": {},
            "{tool: , app: {}, x: {}}": {"app": {"enabled": False}},
            "{storage: {size: 5}}": {"storage": {"enabled": False, "size": 5}},
        }
        for text, wanted in cases.items():
            self.assertEqual(self.manifest(LEAST + f"resource: {{permission: {text}}}\n")["resource"].get("permission"), wanted)

    def test_inline_kinds(self) -> None:
        """A kind in the manifest counts, its references do not; a file replaces it."""
        inline = "endpoint: {endpoints: [gone.yaml, {path: /x}]}\n"
        self.assertEqual(self.manifest(LEAST + inline)["endpoint"]["endpoints"], [{"path": "/x", "method": "", "hidden": False}])
        files = plugin({"manifest.yaml": LEAST.replace("{tools", "{endpoints: [e.yaml], tools") + inline, "e.yaml": "settings: []\n"})
        self.assertIsNone(self.declared(files)["endpoint"]["endpoints"])

    def test_last_provider(self) -> None:
        """Of several provider files the last one counts."""
        files = plugin({"manifest.yaml": LEAST.replace("]}", ", b.yaml]}"), "b.yaml": "identity: {name: second}\n"})
        self.assertEqual(self.declared(files)["tool"]["identity"]["name"], "second")

    def test_broken(self) -> None:
        """A manifest that does not parse is told with the prefix of YAML errors, and named like any other file."""
        for text in ("- a\n", "text\n", "{{{\n", "author: [a]\n", "plugins: {tools: text}\n", "tags: {}\n"):
            refusal = self.refusal(plugin({"manifest.yaml": text}), UnreadablePackage)
            self.assertTrue(refusal.startswith("yaml:"), refusal)
            self.assertEqual(refusal.splitlines()[-1], "failed to unmarshal plugin file: manifest.yaml")

    def test_missing_files(self) -> None:
        """A file that is missing is named with the file that wanted it."""
        cases = {
            "manifest.yaml": "open manifest.yaml: file does not exist",
            "provider/demo.yaml": "open provider/demo.yaml: file does not exist\nfailed to read tool file: provider/demo.yaml",
            "tools/say.yaml": "open tools/say.yaml: file does not exist\nfailed to read tool file: tools/say.yaml",
        }
        for path, said in cases.items():
            self.assertEqual(self.refusal(plugin({path: None}), UnreadablePackage), said)


class RulesTests(PackageCase):
    def problems(self, **changes: Any) -> list[str]:
        """The fields of the manifest that break a rule; a change names a path by `__`."""
        manifest = self.declared(plugin())
        for path, value in changes.items():
            *steps, last = path.split("__")
            at = manifest
            for step in steps:
                at = at.setdefault(step, {})
            at[last] = value
        return [problem.path for problem in MANIFEST.check(manifest)]

    def test_good(self) -> None:
        """The sample breaks no rule."""
        self.assertEqual(self.problems(), [])
        self.assertEqual(self.problems(author="", meta__arch=[], tags=["weather"], repo="https://example.com/a", resource__memory=-1), [])

    def test_bad(self) -> None:
        """Each broken rule names its field."""
        cases: list[tuple[str, Any]] = [
            ("version", "1.0"), ("version", "1.0.0-" + "a" * 17), ("type", "bundle"), ("author", "a" * 65), ("name", ""), ("name", "n" * 129),
            ("icon", ""), ("icon_dark", "i" * 129), ("resource__memory", 0), ("plugins__tools", ["p" * 129]), ("meta__version", "1"),
            ("meta__arch", None), ("meta__arch", ["sparc"]), ("meta__runner__language", "go"), ("meta__runner__entrypoint", "e" * 257),
            ("tags", ["unknown"]), ("created_at", "0001-01-01T00:00:00Z"), ("repo", ""), ("repo", "not a url"),
        ]  # fmt: skip
        for path, value in cases:
            self.assertEqual(self.problems(**{path: value}), [path.replace("__", ".")], (path, value))
        self.assertEqual(self.problems(label={"en_US": "", "zh_Hans": "x" * 1024}), ["label.en_US", "label.zh_Hans"])
        self.assertEqual(self.problems(resource__permission={"storage": {"size": 1023}}), ["resource.permission.storage.size"])


class CheckTests(PackageCase):
    def check(self, *kinds: str, author: str = "acme", name: str = "demo") -> str:
        return str(self.assertRaises(IllegalManifest, check_manifest, author, name, kinds))

    def test_names(self) -> None:
        """Author and name in lower case, the author first."""
        for author in ("", "Acme", "a.b", "a" * 65, "a\n", "ä"):
            self.assertTrue(self.check("tool", author=author, name="Bad").startswith("author must be alphanumeric"), author)
        for name in ("", "Demo", "a b", "n" * 129, "n\n"):
            self.assertTrue(self.check("tool", name=name).startswith("plugin name must be alphanumeric"), name)

    def test_exclusion(self) -> None:
        """Only tools and endpoints go together; the first rule that is broken is told."""
        self.assertTrue(self.check().startswith("at least one of endpoint, model, tool"))
        for first in range(len(KINDS) - 2):
            for second in range(first + 1, len(KINDS)):
                self.assertTrue(self.check(KINDS[second], KINDS[first]).startswith(f"{KINDS[first]} and "))
        for kinds in (("tool", "endpoint"), *((kind,) for kind in KINDS)):
            check_manifest("acme", "demo", kinds)

    def test_refused_package(self) -> None:
        """A package that declares nothing is refused by that rule, whatever else it is."""
        self.assertIn("at least one of", self.refusal(plugin({"manifest.yaml": HEAD}), IllegalManifest))

    def test_json(self) -> None:
        """A declaration is compact JSON in UTF-8."""
        text = self.read(plugin({"manifest.yaml": HEAD.replace("{en_US: Demo}", "{en_US: ü}") + "tool: {}\n"})).declaration
        self.assertIn('"label":{"en_US":"ü"}', text.decode())
        json.loads(text)
