"""Who is let in, and the words for those who are not."""

import json
from pathlib import Path
from typing import Any

from difyd.errors import BadPackage
from difyd.package.bundle import MAX_DEPENDENCIES, MAX_MANIFEST
from difyd.package.errors import BadSignature, FalseLanggenius
from difyd.package.policy import Policy
from difyd.package.signature import Keys
from difyd.package.signing import sign_package_blocking
from difyd.package.upload import Accepted, Gate, Reported
from tests.package.samples import HEAD, ICON_ID, IDENTITY, Files, PackageCase, entries, plugin
from tests.package.test_signature import key

OPEN = Policy(force_verifying_signature=False, enforce_langgenius_plugin_signatures=False)
NO_ICON = {"provider/demo.yaml": IDENTITY.replace("icon.svg", "gone.svg")}


def gate(policy: Policy = OPEN, max_size: int = 10_000_000) -> Gate:
    return Gate(Keys(third_party=(key().public_key(),)), policy, max_size)


def by(author: str, files: dict[str, str] | None = None) -> Files:
    return plugin(
        {"manifest.yaml": HEAD.replace("author: acme", f"author: '{author}'") + "plugins: {tools: [provider/demo.yaml]}\n", **(files or {})}
    )


class PackageTests(PackageCase):
    def signed(self, files: Files, category: str | None = "partner") -> Path:
        target = self.scratch() / "signed"
        sign_package_blocking(self.pack(files), target, key(), category)
        return target

    def refused(self, path: Path, kind: type[Exception], policy: Policy = OPEN, **options: Any) -> Any:
        return self.assertRaises(kind, gate(policy).package_blocking, path, **options)

    def test_accepted(self) -> None:
        """What is to be stored: the file, the identifier, the declaration with ids, the assets."""
        path = self.pack(plugin())
        accepted = gate().package_blocking(path)
        self.assertEqual((accepted.path, accepted.identifier.plugin_id), (path, "acme/demo"))
        self.assertEqual([asset.id for asset in accepted.stored.assets], [ICON_ID])

    def test_words(self) -> None:
        """Each step's refusal has its own lines."""
        said = str(self.refused(self.pack(plugin({"manifest.yaml": HEAD})), BadPackage))
        self.assertTrue(said.endswith("must be provided\nillegal plugin manifest\nfailed to decode package"))
        said = str(self.refused(self.pack(plugin(NO_ICON)), BadPackage))
        self.assertEqual(said, "file not found: gone.svg\nfailed to remap tool icon\nfailed to remap assets\nfailed to save package")

    def test_forced(self) -> None:
        """Where signatures are demanded, by the operator or by one request, none is let in without; the reason says which check failed."""
        forcing = Policy(force_verifying_signature=True)
        gate(forcing).package_blocking(self.signed(plugin()))
        for why in (self.refused(self.pack(plugin()), BadSignature, forcing), self.refused(self.pack(plugin()), BadSignature, verify=True)):
            self.assertEqual(str(why), "plugin verification has been enabled, and the plugin you want to install has a bad signature")
            self.assertEqual(why.details, {"plugin": self.read(plugin()).identifier.text, "reason": "it is not signed"})

    def test_order(self) -> None:
        """Kinds are judged before signatures, icons after them."""
        forcing = Policy(force_verifying_signature=True)
        self.assertIn("at least one", str(self.refused(self.pack(plugin({"manifest.yaml": HEAD})), BadPackage, forcing)))
        self.refused(self.pack(plugin(NO_ICON)), BadSignature, forcing)

    def test_langgenius(self) -> None:
        """Who claims to be Langgenius must be vouched for as such."""
        enforcing = Policy(force_verifying_signature=False)
        for path in (self.pack(by("langgenius")), self.signed(by("langgenius")), self.signed(by("langgenius"), "")):
            why = self.refused(path, FalseLanggenius, enforcing)
            self.assertTrue(str(why).startswith("plugin installation blocked: this plugin claims to be from Langgenius but lacks"))
        for category in ("langgenius", None):
            gate(enforcing).package_blocking(self.signed(by("langgenius"), category))
        gate(enforcing).package_blocking(self.pack(by("langgenius-")))
        gate().package_blocking(self.pack(by("langgenius")))

    def test_langgenius_by_official_key(self) -> None:
        """An operator may let the official key alone vouch for Langgenius."""
        strict = Policy(False, True, langgenius_by_official_key_only=True)
        self.assertIn("official key", str(self.refused(self.signed(by("langgenius"), "langgenius"), FalseLanggenius, strict)))


class BundleTests(PackageCase):
    def bundle(self, *dependencies: Any, packages: dict[str, Path | bytes] | None = None, **manifest: Any) -> Path:
        head = {
            "name": "sample",
            "labels": {"en_US": "S"},
            "version": "0.0.1",
            "type": "bundle",
            "dependencies": list(dependencies),
            **manifest,
        }
        inner = {name: content.read_bytes() if isinstance(content, Path) else content for name, content in (packages or {}).items()}
        files = [("manifest.yaml", json.dumps(head).encode()), *((f"_assets/{name}", content) for name, content in inner.items())]
        return entries(self.scratch() / "a.difybndl", files)

    def items(self, path: Path, policy: Policy = OPEN, max_size: int = 10_000_000, **options: Any) -> list[Accepted | Reported]:
        return gate(policy, max_size).bundle_blocking(path, self.scratch(), **options)

    def refused(self, *args: Any, **options: Any) -> tuple[str, bool | None]:
        """The text, and whether it is an internal error."""
        why = self.assertRaises(BadPackage, self.items, *args, **options)
        return str(why), getattr(why, "ours", None)

    def test_items(self) -> None:
        """One item per dependency, in their order, repetitions included."""
        path = self.bundle(
            local("b"), marketplace("acme/demo:^1.0.0"), local("a"), github("acme/repo:1.x.x/d e.difypkg"), local("b"),
            packages={"a": self.pack(by("one")), "b": self.pack(by("two"))},
        )  # fmt: skip
        items = self.items(path)
        self.assertEqual(
            [item.identifier.author if isinstance(item, Accepted) else item.type for item in items],
            ["two", "marketplace", "one", "github", "two"],
        )
        self.assertEqual(items[1], Reported("marketplace", {"organization": "acme", "plugin": "demo", "version": "^1.0.0"}))
        self.assertEqual(items[3], Reported("github", {
            "repo_address": "https://github.com/acme/repo", "repo": "acme/repo", "release": "1.x.x", "packages": "d e.difypkg",
        }))  # fmt: skip
        assert isinstance(items[0], Accepted)
        self.assertEqual(items[0].path.read_bytes(), self.pack(by("two")).read_bytes())

    def test_empty(self) -> None:
        """A bundle of nothing is nothing; its head is not judged."""
        self.assertEqual(self.items(self.bundle(dependencies=None, version="x", tags=["y"])), [])

    def test_unreadable(self) -> None:
        """No zip, no manifest, broken YAML: the cause, then the step."""
        path = self.scratch() / "a"
        path.write_bytes(b"junk")
        self.assertEqual(self.refused(path)[0], "difypkg: not a valid difypkg file\nfailed to decode bundle")
        self.assertEqual(self.refused(entries(path, []))[0], "open manifest.yaml: file does not exist\nfailed to decode bundle")
        for text in (b"{{{", b"- a\n", b"dependencies: text\n", b"dependencies: [{type: marketplace, value: text}]\n"):
            said, _ = self.refused(entries(path, [("manifest.yaml", text)]))
            self.assertTrue(said.startswith("yaml:") and said.endswith("\nfailed to decode bundle"), said)

    def test_patterns(self) -> None:
        """Patterns are held to their rule, and an unknown type is told by its name."""
        for pattern in ("1.0.0", "1.0.0-beta", "~1.0.0", "^1.0.0", "1.x.x", "1.2.X", "1.0.0-2.0.0"):
            self.items(self.bundle(marketplace(f"a/b:{pattern}"), github(f"a/b:{pattern}/c")))
        for pattern in ("1.0", "1.0.0.1", "^1.x.x", "1.0.0-", "1.0.0-" + "a" * 17, ""):
            self.assertIn("invalid marketplace pattern", self.refused(self.bundle(marketplace(f"a/b:{pattern}")))[0])
        for pattern in ("acme/repo:1.0.0", "acme/repo", "Acme/repo:1.0.0/x", ""):
            self.assertIn("invalid github repo pattern", self.refused(self.bundle(github(pattern)))[0])
        self.assertIn('unknown dependency type "other"', self.refused(self.bundle({"type": "other", "value": {}}))[0])

    def test_steps(self) -> None:
        """A package that is refused is told with the step before the cause, and whose fault it is."""
        cases: list[tuple[Path | bytes, str, bool]] = [
            (b"junk", "failed to create package decoder\ndifypkg: not a valid difypkg file", False),
            (self.pack(by("Bad")), "failed to get package unique identifier\nplugin_unique_identifier is not valid: Bad/demo:0.0.1@", False),
            (self.pack(plugin({"manifest.yaml": HEAD})), "failed to decode package\nat least one of endpoint", True),
            (
                self.pack(plugin(NO_ICON)),
                "failed to save package\nfile not found: gone.svg\nfailed to remap tool icon\nfailed to remap assets",
                True,
            ),
        ]
        for package, said, ours in cases:
            text, whose = self.refused(self.bundle(local("a"), packages={"a": package}))
            self.assertTrue(text.startswith(said), text)
            self.assertIs(whose, ours)
        for path in ("gone", "./a", "_assets/a", "../manifest.yaml", ""):
            self.assertEqual(
                self.refused(self.bundle(local(path), packages={"a": b""})), ("failed to fetch package from bundle\nasset not found", True)
            )

    def test_policy(self) -> None:
        """Signatures are judged before icons, for every package."""
        path = self.bundle(local("a"), local("b"), packages={"a": self.pack(plugin()), "b": self.pack(plugin(NO_ICON))})
        why = self.assertRaises(BadSignature, self.items, path, verify=True)
        self.assertIn("acme/demo:", why.plugin)
        self.assertRaises(
            FalseLanggenius, self.items, self.bundle(local("a"), packages={"a": self.pack(by("langgenius"))}), Policy(False, True)
        )

    def test_limits(self) -> None:
        """Each package is limited, all together, their number, and the manifest."""
        path = self.bundle(local("a"), packages={"a": self.pack(plugin({"z": "0" * 200_000}))})
        self.assertIn("less than 100000 bytes", self.refused(path, max_size=100_000)[0])
        bomb = self.bundle(local("a"), packages={"a": bytes(5_000_000)})
        self.assertIn("too large", self.refused(bomb, max_size=100_000)[0])
        many = self.bundle(*[marketplace("a/b:1.0.0")] * (MAX_DEPENDENCIES + 1))
        self.assertIn(f"at most {MAX_DEPENDENCIES}", self.refused(many)[0])
        long = entries(self.scratch() / "a", [("manifest.yaml", b"#" * (MAX_MANIFEST + 1))])
        self.assertIn(f"larger than {MAX_MANIFEST} bytes\nfailed to decode bundle", self.refused(long)[0])


def marketplace(pattern: str) -> dict[str, Any]:
    return {"type": "marketplace", "value": {"marketplace_pattern": pattern}}


def github(pattern: str) -> dict[str, Any]:
    return {"type": "github", "value": {"repo_pattern": pattern}}


def local(path: str) -> dict[str, Any]:
    return {"type": "package", "value": {"path": path}}
