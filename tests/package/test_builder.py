"""A directory becomes a package: which files, which bytes, what is refused, what its author hears."""

import os
import zipfile
from pathlib import Path

from difyd.package.archive import Archive, checksum
from difyd.package.builder import build_package_blocking, directory_checksum_blocking, write_package_blocking
from difyd.package.errors import UnpackablePlugin, UnreadablePackage
from tests.package.samples import HEAD, IDENTITY, Files, PackageCase, plugin

LOCKED = {"pyproject.toml": "[project]\n", "uv.lock": "version = 1\n"}


class BuilderCase(PackageCase):
    def build(self, root: Path, **options: object) -> Path:
        self.target = self.scratch() / "a.difypkg"
        self.regrets = build_package_blocking(root, self.target, **options)  # type: ignore[arg-type]
        return self.target

    def packed(self, files: Files) -> set[str]:
        """What is packed beyond the plugin itself."""
        with zipfile.ZipFile(self.build(self.write(files))) as archive:
            return set(archive.namelist()) - set(plugin())

    def refused(self, files: Files, kind: type[Exception] = UnpackablePlugin, **options: object) -> str:
        """The refusal; nothing is written then."""
        why = str(self.assertRaises(kind, self.build, self.write(files), **options))
        self.assertEqual(list(self.target.parent.iterdir()), [])
        return why


class ArchiveTests(BuilderCase):
    def test_round_trip(self) -> None:
        """Every file arrives under its path; entries are sorted by bytes, deflated and bare."""
        files = plugin({"a-b": "1", "a/b": "2", "ü/漢.bin": bytes(range(256)), "empty": "", ".hidden/x": "3"})
        with zipfile.ZipFile(self.build(self.write(files))) as archive:
            self.assertEqual({name: archive.read(name) for name in archive.namelist()}, files)
            self.assertEqual(archive.namelist(), sorted(files, key=str.encode))
            infos = archive.infolist()
        self.assertEqual({(info.compress_type, info.extra, info.date_time[0]) for info in infos}, {(zipfile.ZIP_DEFLATED, b"", 1980)})

    def test_same_bytes(self) -> None:
        """The same files give the same bytes, whenever and with whatever modes they were written."""
        first, second = self.write(plugin()), self.write(dict(reversed(plugin().items())))
        for path in second.rglob("*.yaml"):
            path.chmod(0o755)
            os.utime(path, (1_500_000_000, 1_500_000_000))
        self.assertEqual(self.build(first).read_bytes(), self.build(second).read_bytes())

    def test_checksum(self) -> None:
        """A directory has the checksum of its package."""
        root = self.write(plugin({"x.log": "", ".difyignore": "*.log\n"}))
        with Archive.open_blocking(self.build(root)) as archive:
            self.assertEqual(directory_checksum_blocking(root), checksum(archive.digests()))

    def test_links(self) -> None:
        """A link to a file is packed as that file, one to a directory or to nothing is refused."""
        root, elsewhere = self.write(plugin()), self.scratch().absolute()
        (elsewhere / "file").write_text("linked")
        (root / "link").symlink_to(elsewhere / "file")
        with Archive.open_blocking(self.build(root)) as archive:
            self.assertEqual(archive.read("link"), b"linked")
        for target, said in ((elsewhere, "read link: is a directory"), ("gone", "open link: file does not exist")):
            (root / "link").unlink()
            (root / "link").symlink_to(target)
            self.assertEqual(str(self.assertRaises(UnpackablePlugin, self.build, root)), said)

    def test_files_alone(self) -> None:
        """Tests and tools may pack whatever files they have."""
        target = self.scratch() / "a"
        write_package_blocking({"b": b"2", "a": b"1"}, target)
        with Archive.open_blocking(target) as archive:
            self.assertEqual([(name, archive.read(name)) for name in archive.names()], [("a", b"1"), ("b", b"2")])


class IgnoreTests(BuilderCase):
    def ignored(self, patterns: str, *paths: str) -> set[str]:
        """Those of `paths` that stay out."""
        return set(paths) - self.packed(plugin({".difyignore": patterns, **dict.fromkeys(paths, "x")}))

    def test_patterns(self) -> None:
        """Names at any depth, anchors, folders, stars over folders, classes, comments and blanks."""
        patterns = "# comment\n\n  *.log  \n/build\nsub/deep/*.txt\ncache/\n**/tmp/x\n[ab]?.dat\n"
        out = ["a.log", "sub/b.log", "build/o", "sub/deep/y.txt", "cache/x", "sub/cache/x", "q/tmp/x", "tmp/x", "a1.dat"]
        kept = ["sub/build/o", "sub/deep/er/y.txt", "other/sub/deep/y.txt", "lib/cache", "q/tmp/z", "c3.dat", "# comment"]
        self.assertEqual(self.ignored(patterns, *out, *kept), set(out))

    def test_negation(self) -> None:
        """`!` brings a file back, though not out of a folder that stays out."""
        self.assertEqual(self.ignored("*.log\n!keep.log\nd/\n!d/x\n", "a.log", "keep.log", "d/x"), {"a.log", "d/x"})

    def test_never_packed(self) -> None:
        """Secrets and environments stay out unless they are asked for."""
        secrets = [".env", ".env.local", ".git/config", ".venv/x", "a/__pycache__/b.pyc"]
        self.assertEqual(self.ignored("", *secrets, ".env.example"), set(secrets))
        self.assertEqual(self.ignored("!.env\n", ".env", ".env.local"), {".env.local"})

    def test_which_file(self) -> None:
        """`.gitignore` counts only where there is no `.difyignore`; those below the root never do."""
        self.assertEqual(self.packed(plugin({".gitignore": "*.log\n", "a.log": ""})), {".gitignore"})
        self.assertEqual(self.packed(plugin({".difyignore": "", ".gitignore": "*.log\n", "a.log": ""})), {".difyignore", ".gitignore", "a.log"})
        self.assertEqual(self.packed(plugin({"d/.difyignore": "*\n", "d/a": ""})), {"d/.difyignore", "d/a"})

    def test_itself(self) -> None:
        """The ignore file is packed unless it ignores itself."""
        self.assertEqual(self.packed(plugin({".difyignore": ".difyignore\n"})), set())

    def test_declared_files(self) -> None:
        """A file that is named may stay out; packaging reads it, and says what will come of it."""
        self.packed(plugin({".difyignore": "tools/\n"}))
        self.assertIn("a daemon will refuse the package: open tools/say.yaml: file does not exist", self.regrets[0])


class RefusalTests(BuilderCase):
    def test_unreadable(self) -> None:
        """What does not parse, or is not there, is told as an upload would."""
        self.assertEqual(str(self.assertRaises(UnreadablePackage, self.build, self.write(plugin()) / "manifest.yaml")), "not a directory")
        self.assertIn("failed to read tool file", self.refused(plugin({"tools/say.yaml": None}), UnreadablePackage))
        self.assertTrue(self.refused(plugin({"provider/demo.yaml": "a: ["}), UnreadablePackage).startswith("yaml: "))

    def test_manifest(self) -> None:
        """The manifest is held to its rules, each with its field."""
        text = HEAD.replace("version: 0.0.1\ntype: plugin", "version: one\ntype: widget") + "plugins: {tools: [provider/demo.yaml]}\n"
        said = self.refused(plugin({"manifest.yaml": text})).splitlines()
        self.assertEqual([line.split(": ")[:2] for line in said], [["manifest.yaml", "version"], ["manifest.yaml", "type"]])

    def test_old_places(self) -> None:
        """Permissions and the runner in their old places are told where they belong."""
        text = HEAD + "plugins: {tools: [provider/demo.yaml]}\npermission: {tool: {enabled: true}}\n"
        self.assertIn(
            "line 12: permission: nobody reads it here, it belongs under resource.permission", self.refused(plugin({"manifest.yaml": text}))
        )

    def test_two_providers(self) -> None:
        """Two provider files of one kind are one too many."""
        text = HEAD + "plugins: {tools: [provider/demo.yaml, provider/demo.yaml]}\n"
        self.assertIn("plugins.tools", self.refused(plugin({"manifest.yaml": text})))

    def test_icons(self) -> None:
        """Every icon that is named must exist."""
        self.assertEqual(self.refused(plugin({"_assets/icon.svg": None})), "tool icon not found\nassets invalid")
        self.assertEqual(
            self.refused(plugin({"provider/demo.yaml": IDENTITY.replace("icon: icon.svg", "icon: icon.svg, icon_dark: x")})),
            "tool icon dark not found\nassets invalid",
        )

    def test_size(self) -> None:
        """Too large a package lists its largest files so far; the limit itself passes."""
        files = plugin({f"z{number}": "0" * number * 1000 for number in range(1, 8)} | {"zz": "0" * 9000})
        total = sum(map(len, files.values()))
        self.build(self.write(files), max_size=total)
        said = self.refused(files, max_size=total - 1)
        head = f"Plugin package size is too large. Please ensure the uncompressed size is less than {total - 1} bytes.\nPackaged file info:\n"
        largest = ["zz", "z7", "z6", "z5", "z4"]
        self.assertEqual(said, head + "".join(f"{n}. name: {name}, size: {len(files[name])} bytes\n" for n, name in enumerate(largest, 1)))


class RequirementsTests(BuilderCase):
    def uv(self, body: str) -> str:
        """An executable that stands for uv."""
        path = self.scratch().absolute() / "uv"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    def test_exported(self) -> None:
        """Locked requirements are exported into the package, not into the directory; they count in the checksum."""
        root, uv = self.write(plugin(LOCKED)), self.uv('echo "$@"')
        with Archive.open_blocking(self.build(root, uv=uv)) as archive:
            self.assertTrue(archive.read("requirements.txt").startswith(b"export --frozen --format requirements.txt"))
            self.assertEqual(archive.names(), sorted(archive.names()))
            self.assertEqual(directory_checksum_blocking(root, uv=uv), checksum(archive.digests()))
        self.assertFalse((root / "requirements.txt").exists())

    def test_left_alone(self) -> None:
        """Requirements that exist are kept, and uv runs only with both files."""
        for files in ({**LOCKED, "requirements.txt": "mine"}, {"uv.lock": ""}, {"pyproject.toml": ""}):
            self.build(self.write(plugin(files)), uv=self.uv("exit 1"))

    def test_failure(self) -> None:
        """A uv that fails is quoted, one that is missing is named."""
        self.assertEqual(self.refused(plugin(LOCKED), uv=self.uv("echo ' no such group ' >&2; exit 3")), "uv export failed: no such group")
        self.assertIn("failed to find uv executable", self.refused(plugin(LOCKED), uv="/no/such/uv"))


class RegretTests(BuilderCase):
    def said(self, files: Files) -> str:
        self.build(self.write(files))
        return "\n".join(self.regrets)

    def test_none(self) -> None:
        """A good plugin leaves nothing to say."""
        self.assertEqual(
            self.said(
                plugin({"provider/demo.yaml": IDENTITY.replace("label", "description: {en_US: D}, label") + "tools: [tools/say.yaml]\n"})
            ),
            "",
        )

    def test_refused_by_daemons(self) -> None:
        """What an upload would refuse is said at once: the author, a broken rule of kinds."""
        text = HEAD.replace("author: acme", "author: ACME") + "plugins: {tools: [provider/demo.yaml]}\n"
        self.assertIn("a daemon will refuse the package: author must be alphanumeric", self.said(plugin({"manifest.yaml": text})))

    def test_refused_when_debugging(self) -> None:
        """What only the debugging port refuses, a missing readme, odd versions and secrets are said, too."""
        text = HEAD.replace("0.0.1\ntype", "0.0.1-foo\ntype") + "plugins: {tools: [provider/demo.yaml]}\n"
        said = self.said(plugin({"manifest.yaml": text, "README.md": None, "tools/say.yaml": "", "private.pem": ""}))
        for words in ("tools[0].identity.author: must not be empty", "'0.0.1-foo'", "no README.md", "private.pem is in the package"):
            self.assertIn(words, said)
