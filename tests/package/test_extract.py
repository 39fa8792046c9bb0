"""A working directory appears complete or not at all."""

import os
import stat
import struct
from pathlib import Path

from difyd.package.errors import UnreadablePackage
from difyd.package.extract import extract_blocking
from tests.package.samples import PackageCase, entries


class ExtractTests(PackageCase):
    def setUp(self) -> None:
        self.place = self.scratch() / "acme" / "demo-0.0.1@abc"

    def refused(self, path: Path) -> str:
        """The refusal; and nothing is left, not even beside the place."""
        why = self.assertRaises(UnreadablePackage, extract_blocking, path, self.place)
        self.assertEqual(list(self.place.parent.iterdir()), [])
        return str(why)

    def test_files(self) -> None:
        """All files and folders are there, with plain modes and nothing else."""
        old = os.umask(0o077)
        self.addCleanup(os.umask, old)
        files = {"main.py": b"print()", "a/b/c.txt": b"deep", "ü/漢": b"", "big": bytes(1_000_000)}
        extract_blocking(entries(self.scratch() / "p", [*files.items(), ("_assets/", b"")]), self.place)
        self.assertEqual(
            {path.relative_to(self.place).as_posix(): path.read_bytes() for path in self.place.rglob("*") if path.is_file()}, files
        )
        self.assertTrue((self.place / "_assets").is_dir())
        modes = {stat.S_IMODE(path.stat().st_mode) for path in self.place.rglob("*") if path.is_file()}
        folders = {stat.S_IMODE(path.stat().st_mode) for path in (self.place, *self.place.rglob("*")) if path.is_dir()}
        self.assertEqual((modes, folders), ({0o644}, {0o755}))
        self.assertEqual([path.name for path in self.place.parent.iterdir()], [self.place.name])

    def test_many_files(self) -> None:
        """A package of many files arrives whole, too."""
        files = {f"lib/f{number}.py": str(number).encode() for number in range(300)}
        extract_blocking(self.pack(files), self.place)
        self.assertEqual(len(list((self.place / "lib").iterdir())), 300)

    def test_empty_directory(self) -> None:
        """An empty directory in the place is taken over, one with content is not."""
        self.place.mkdir(parents=True)
        extract_blocking(self.pack({"a": b"1"}), self.place)
        self.assertEqual((self.place / "a").read_bytes(), b"1")
        self.assertRaises(OSError, extract_blocking, self.pack({"b": b"2"}), self.place)
        self.assertEqual([path.name for path in self.place.iterdir()], ["a"])
        self.assertEqual([path.name for path in self.place.parent.iterdir()], [self.place.name])

    def test_links_are_files(self) -> None:
        """A symbolic link becomes a file with its text: nothing is ever written through one."""
        data = bytearray(self.pack({"link": b"/etc"}).read_bytes())
        place = data.rfind(b"PK\x01\x02") + 38
        data[place : place + 4] = struct.pack("<I", 0o120777 << 16)
        path = self.scratch() / "p"
        path.write_bytes(data)
        extract_blocking(path, self.place)
        self.assertFalse((self.place / "link").is_symlink())
        self.assertEqual((self.place / "link").read_bytes(), b"/etc")

    def test_traversal(self) -> None:
        """An entry that leads outside is refused."""
        for name in ("../x", "/x", "a/../../x"):
            self.assertTrue(self.refused(entries(self.scratch() / "p", [("a", b"1"), (name, b"2")])).startswith("open "))

    def test_what_is_ours(self) -> None:
        """The environment that the daemon would trust is left out; what only looks like it is not."""
        brought = (".venv/dify/plugin.json", ".uv-cache/x", "./.venv/x", "a/.venv/x", ".venvs")
        extract_blocking(entries(self.scratch() / "p", [(name, b"1") for name in brought]), self.place)
        self.assertEqual(sorted(path.name for path in self.place.iterdir()), [".venvs", "a"])
        self.assertTrue((self.place / "a" / ".venv" / "x").is_file())

    def test_file_and_folder(self) -> None:
        """A path that is a file and a folder at once is refused."""
        for files in ({"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}):
            self.assertIn("a file and a folder of one name", self.refused(self.pack(files)))

    def test_damage(self) -> None:
        """A package that breaks half-way leaves nothing behind."""
        path = entries(self.scratch() / "p", [("a", b"first"), ("b", b"second")], compression=0)
        path.write_bytes(path.read_bytes().replace(b"second", b"SECOND"))
        self.assertTrue(self.refused(path).startswith("read b: "))
