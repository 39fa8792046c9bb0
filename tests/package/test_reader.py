"""One pass over a package: identifier, declaration, icons, readmes."""

import json
import uuid

from difyd.errors import BadIdentifier
from difyd.package.errors import BadAuthor, MissingIcon, UnreadablePackage
from difyd.package.reader import read_asset_blocking, read_package_blocking, read_readmes_blocking
from difyd.package.signature import Keys
from tests.package.samples import HEAD, ICON, ICON_ID, IDENTITY, PackageCase, plugin


class PackageTests(PackageCase):
    def test_identifier(self) -> None:
        """Author, name, version and the checksum over all files; the author may be missing until the kinds are checked."""
        package = self.read(plugin())
        self.assertEqual(package.identifier.text.rpartition("@")[0], "acme/demo:0.0.1")
        self.assertEqual(self.read(plugin()).identifier, package.identifier)
        self.assertNotEqual(self.read(plugin({"x": ""})).identifier, package.identifier)

    def test_bad_identity(self) -> None:
        """What makes no identifier is refused with the string that it would be, before any other rule."""
        for change in (("author: acme", "author: Acme"), ("version: 0.0.1\ntype", "version: '1'\ntype"), ("name: demo", "name: a.b")):
            text = HEAD.replace(*change)
            self.assertTrue(self.refusal(plugin({"manifest.yaml": text}), BadIdentifier).startswith("plugin_unique_identifier is not valid: "))

    def test_uuid_author(self) -> None:
        """Nobody poses as a debugging connection."""
        for author in (str(uuid.uuid4()), uuid.uuid4().hex):
            files = plugin({"manifest.yaml": HEAD.replace("author: acme", f"author: '{author}'") + "tool: {}\n"})
            self.assertEqual(self.refusal(files, BadAuthor), "cannot set author to an UUID")

    def test_limit(self) -> None:
        """The sum of the contents is limited, and a stored package may be read without."""
        self.assertRaises(UnreadablePackage, self.read, plugin(), max_size=100)
        self.read(plugin())

    def test_endless_declaration(self) -> None:
        """A short file must not become an endless declaration: not by aliases of objects, nor by those of long texts."""
        for text, said in (
            ("x: &x {}\nparameters: [" + "*x," * 60_000 + "]\n", "excessive aliasing"),
            (f"x: &x {'text' * 50_000}\noutput_schema: {{a: [" + "*x," * 100 + "]}\n", "characters together"),
        ):
            self.assertIn(said, self.refusal(plugin({"tools/say.yaml": text}), UnreadablePackage))

    def test_any_broken_entry(self) -> None:
        """Also a file that no declaration reads must be whole."""
        path = self.pack(plugin({"z": "some content"}))
        path.write_bytes(path.read_bytes().replace(b"z", b"y", 1))
        self.assertRaises(UnreadablePackage, read_package_blocking, path, keys=Keys())

    def test_unverified(self) -> None:
        """A package without a signature is unverified, and says why."""
        package = self.read(plugin())
        self.assertIsNone(package.verification)
        self.assertEqual(package.unverified_because, "it is not signed")
        self.assertFalse(json.loads(package.declaration)["verified"])


class RemapTests(PackageCase):
    def test_ids(self) -> None:
        """Names become ids, each asset once; the package keeps the names."""
        package = self.read(
            plugin({"_assets/dark/i.PNG": "night", "manifest.yaml": HEAD + "icon_dark: dark/i.PNG\nplugins: {tools: [provider/demo.yaml]}\n"})
        )
        remapped = package.remap()
        declaration = json.loads(remapped.declaration)
        self.assertEqual((declaration["icon"], declaration["tool"]["identity"]["icon"]), (ICON_ID, ICON_ID))
        self.assertTrue(declaration["icon_dark"].endswith(".PNG"))
        self.assertEqual({asset.id: asset.content for asset in remapped.assets}, {ICON_ID: ICON, declaration["icon_dark"]: b"night"})
        self.assertEqual(json.loads(package.declaration)["icon"], "icon.svg")

    def test_missing(self) -> None:
        """An icon that is not there is named with its place; URLs, emoji and path tricks are names like others."""
        for icon in ("gone.svg", "./icon.svg", "_assets/icon.svg", "../manifest.yaml", "https://example.com/a.svg", "\U0001f431"):
            package = self.read(plugin({"provider/demo.yaml": IDENTITY.replace("icon.svg", f"'{icon}'")}))
            self.assertEqual(str(self.assertRaises(MissingIcon, package.remap)), f"file not found: {icon}\nfailed to remap tool icon")

    def test_order(self) -> None:
        """Providers' icons are looked for before the plugin's."""
        package = self.read(plugin({"_assets/icon.svg": None}))
        self.assertIn("tool icon", str(self.assertRaises(MissingIcon, package.remap)))

    def test_no_icon(self) -> None:
        """An empty icon refers to nothing."""
        head = HEAD.replace("icon: icon.svg", "icon: ''") + "plugins: {tools: [provider/demo.yaml]}\n"
        remapped = self.read(plugin({"manifest.yaml": head, "provider/demo.yaml": IDENTITY.replace("icon.svg", "~")})).remap()
        self.assertEqual(remapped.assets, ())


class AssetTests(PackageCase):
    def test_exact_names(self) -> None:
        """Only the exact name of a file below `_assets/` gives its content."""
        path = self.pack(plugin({"_assets/dark/i.png": "night"}))
        self.assertEqual((read_asset_blocking(path, "icon.svg"), read_asset_blocking(path, "dark/i.png")), (ICON, b"night"))
        for name in ("gone", "../manifest.yaml", "_assets/icon.svg", "/icon.svg", "./icon.svg", "dark", "dark/", ""):
            self.assertIsNone(read_asset_blocking(path, name))


class ReadmeTests(PackageCase):
    def readmes(self, files: dict[str, str | None]) -> dict[str, str]:
        return read_readmes_blocking(self.pack(plugin(files)))

    def test_languages(self) -> None:
        """The languages of the folder; what is not named by the rule is no readme."""
        names = [
            "readme/README_zh_Hans.md",
            "readme/README_de.md",
            "readme/README_zh-Hant.md",
            "readme/README_fr_FR.MD",
            "readme/sub/README_ko_KR.md",
        ]
        self.assertEqual(self.readmes(dict.fromkeys(names, "x")), {"en_US": "# Demo\n", "zh_Hans": "x"})

    def test_english(self) -> None:
        """The English one of the folder beats that of the root, which is needed all the same."""
        self.assertEqual(self.readmes({"readme/README_en_US.md": "folder"}), {"en_US": "folder"})
        why = self.assertRaises(UnreadablePackage, self.readmes, {"README.md": None, "readme/README_en_US.md": "x"})
        self.assertEqual(str(why), "open README.md: file does not exist\nen_US readme not found")
