"""Bundles as their authors edit them."""

import zipfile
from pathlib import Path

from difyd.package.bundle import Bundle, BundleArchive, load_bundle_blocking, new_bundle
from difyd.package.dependencies import GithubDependency, MarketplaceDependency, PackageDependency
from difyd.package.errors import UnreadablePackage
from tests.package.samples import PackageCase


class BundleTests(PackageCase):
    def sample(self) -> Bundle:
        bundle = new_bundle("sample", "acme", "Ein Bündel")
        bundle.assets["icon.svg"] = b"<svg/>"
        bundle.readmes["README.md"] = b"# Sample\n"
        bundle.append(MarketplaceDependency.parse("acme/demo:^1.0.0"))
        bundle.append(GithubDependency.parse("acme/repo:1.x.x/a b.difypkg"))
        bundle.append_package("ab" * 32, b"a package")
        return bundle

    def test_new(self) -> None:
        """A new bundle says the same in all languages and depends on nothing."""
        manifest = new_bundle("sample", "acme", "text").manifest
        self.assertEqual(
            (manifest["version"], manifest["type"], manifest["icon"], manifest["dependencies"]), ("0.0.1", "bundle", "icon.svg", [])
        )
        self.assertEqual(manifest["labels"], dict.fromkeys(("en_US", "ja_JP", "zh_Hans", "pt_BR"), "text"))

    def test_round_trip(self) -> None:
        """A file and a directory read back as what was written, the former twice with the same bytes."""
        bundle, target, root = self.sample(), self.scratch() / "a.difybndl", self.scratch() / "sample"
        bundle.write_blocking(target)
        bundle.save_blocking(root)
        first = target.read_bytes()
        for path in (target, root):
            found = load_bundle_blocking(path)
            self.assertEqual((found.manifest, found.assets, found.readmes), (bundle.manifest, bundle.assets, bundle.readmes))
            found.write_blocking(target)
            self.assertEqual(target.read_bytes(), first)
        with zipfile.ZipFile(target) as archive:
            self.assertEqual(archive.namelist(), ["manifest.yaml", "_assets/" + "ab" * 32, "_assets/icon.svg", "README.md"])

    def test_manifest(self) -> None:
        """The manifest is block style, its keys in the order of the chapter."""
        text = self.sample().files()["manifest.yaml"].decode()
        keys = [line.split(":")[0] for line in text.splitlines() if line[0] not in " -"]
        self.assertEqual(keys, ["name", "labels", "description", "icon", "version", "author", "type", "dependencies", "tags"])
        self.assertIn("en_US: Ein Bündel", text)

    def test_removed(self) -> None:
        """A package goes with its last dependency, from the directory too."""
        bundle, root = self.sample(), self.scratch() / "sample"
        bundle.append(PackageDependency("ab" * 32))
        bundle.save_blocking(root)
        bundle.remove(3)
        self.assertIn("ab" * 32, bundle.assets)
        bundle.remove(2)
        bundle.save_blocking(root)
        self.assertEqual(sorted(path.name for path in (root / "_assets").iterdir()), ["icon.svg"])
        self.assertEqual(len(load_bundle_blocking(root).manifest["dependencies"]), 2)
        self.assertRaises(IndexError, bundle.remove, 5)

    def test_without_manifest(self) -> None:
        """A directory without a manifest is no bundle."""
        self.assertRaises(UnreadablePackage, load_bundle_blocking, self.scratch())

    def test_what_belongs_to_it(self) -> None:
        """Of a directory only assets and readmes belong to a bundle."""
        root = self.scratch() / "sample"
        self.sample().save_blocking(root)
        for name in ("other.txt", "deep/README.md", "_assets/deep/x"):
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")
        self.assertEqual(set(load_bundle_blocking(root).files()) - set(self.sample().files()), {"_assets/deep/x"})

    def test_copied_out(self) -> None:
        """A package is copied out of an archive by its exact name."""
        path, target = self.scratch() / "a", self.scratch() / "out"
        self.sample().write_blocking(path)
        with BundleArchive.open_blocking(path, max_package_size=1000) as bundle:
            self.assertTrue(bundle.copy_asset("ab" * 32, target))
            for name in ("gone", "./icon.svg", "../manifest.yaml"):
                self.assertFalse(bundle.copy_asset(name, Path("never")))
        self.assertEqual(target.read_bytes(), b"a package")

    def test_plugin_instead(self) -> None:
        """Who takes the package of a plugin for a bundle is told so, instead of installing nothing."""
        path = self.scratch() / "a"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.yaml", "type: plugin\nname: weather\n")
        with self.assertRaisesRegex(UnreadablePackage, "upload it as a package"):
            BundleArchive.open_blocking(path, max_package_size=1000)
