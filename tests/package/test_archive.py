"""Archives that anybody may have made are read within bounds, or refused with the words that clients know."""

import contextlib
import io
import os
import shutil
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from difyd.package.archive import MAX_ENTRIES, Archive, checksum, clean
from difyd.package.errors import UnreadablePackage
from tests.package.samples import PackageCase, entries

VECTOR = {"manifest.yaml": b"version: 0.0.1\n", "_assets/icon.svg": b"<svg/>", "main.py": b'print("hi")\n'}
VECTOR_CHECKSUM = "2bb568e04ad458bb43aeef5eeac60207a130d1c631690aae847913b2587c27ba"
NAMES = st.text("ab.é漢- ", min_size=1, max_size=6).filter(lambda name: name not in (".", "..") and name.strip("."))
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=300), max_size=8)


def _small() -> bytes:
    """An archive of 400 bytes, to be damaged."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("manifest.yaml", "_assets/icon.svg", "ü"):
            archive.writestr(zipfile.ZipInfo(name), b"content of " + name.encode())
    return data.getvalue()


DAMAGED = _small()


class ReadingTests(PackageCase):
    def open(self, path: Path, max_size: int | None = None) -> Archive:
        archive = Archive.open_blocking(path, max_size=max_size)
        self.addCleanup(archive.close)
        return archive

    def refused(self, path: Path, max_size: int | None = None) -> str:
        """The refusal, at the latest when everything is read."""
        return str(self.assertRaises(UnreadablePackage, lambda: self.open(path, max_size).digests()))

    def archive(self, *files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library finds duplicate names odd
            return entries(self.scratch() / "a.zip", files, compression=compression)

    @settings(deadline=None)
    @given(FILES, st.booleans())
    def test_round_trip(self, files: dict[str, bytes], stored: bool) -> None:
        """What was packed is read again, byte by byte and in its order."""
        folder = Path(tempfile.mkdtemp())
        try:
            path = entries(folder / "a", files.items(), compression=zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
            with Archive.open_blocking(path) as archive:
                self.assertEqual(archive.names(), list(files))
                self.assertEqual({name: archive.read(name) for name in files}, files)
        finally:
            shutil.rmtree(folder)

    def test_no_zip(self) -> None:
        """What is no zip is told so in the fixed words."""
        good = self.archive(("a", b"b" * 100)).read_bytes()
        for data in (b"", b"text", good[:-30], good[: len(good) // 2], os.urandom(3000)):
            path = self.scratch() / "a"
            path.write_bytes(data)
            self.assertEqual(self.refused(path), "difypkg: not a valid difypkg file")

    def test_comment(self) -> None:
        """The comment of an archive is there, byte by byte."""
        path = entries(self.scratch() / "a", [("a", b"b")], comment=b'{"x": 1}')
        self.assertEqual(self.open(path).comment, b'{"x": 1}')

    def test_unclean_names(self) -> None:
        """Names are cleaned before they are looked up; the raw one is kept beside."""
        archive = self.open(self.archive(("./a/b", b"1"), ("c/./x/..//d", b"2")))
        self.assertEqual((archive.read("a/b"), archive.read("c/d")), (b"1", b"2"))
        self.assertEqual([entry.raw for entry in archive.entries], ["./a/b", "c/./x/..//d"])

    def test_names_outside(self) -> None:
        """A name that would leave the package, or that is none, is refused."""
        for name in ("../x", "a/../../x", "/x", "//x", "a\\b", "..", ".", "", "../d/", "a\0b"):
            self.assertTrue(self.refused(self.archive(("ok", b""), (name, b"x"))).startswith("open "), name)

    def test_folders(self) -> None:
        """Explicit folders, as ordinary zip tools write them, are no files."""
        archive = self.open(self.archive(("./", b""), ("a/", b""), ("a/b", b"1"), ("c/d/", b"")))
        self.assertEqual((archive.names(), archive.folders), (["a/b"], ("a", "c/d")))

    def test_duplicates(self) -> None:
        """Two entries for one path are refused, however they spell it."""
        for second in ("a/b", "./a/b", "a//b"):
            self.assertIn("two entries for a/b", self.refused(self.archive(("a/b", b"1"), (second, b"2"))))

    def test_names_of_other_bytes(self) -> None:
        """A name keeps its bytes, be they no UTF-8: the checksum is made over them."""
        path = self.scratch() / "a"
        path.write_bytes(self.archive(("axb", b"1"), compression=zipfile.ZIP_STORED).read_bytes().replace(b"axb", b"a\xffb"))
        (name,) = self.open(path).names()
        self.assertEqual(name.encode("utf-8", "surrogateescape"), b"a\xffb")
        self.assertEqual(self.open(path).read(name), b"1")

    def test_lookup_is_verbatim(self) -> None:
        """A path must be clean and right to the letter."""
        archive = self.open(self.archive(("a/b", b"1")))
        for path in ("./a/b", "/a/b", "a//b", "../a/b", "a/../a/b", ""):
            self.assertEqual(str(self.assertRaises(UnreadablePackage, archive.read, path)), f"open {path}: invalid argument")
        for path in ("A/b", "a", "a/b/c", "b", "."):
            self.assertEqual(str(self.assertRaises(UnreadablePackage, archive.read, path)), f"open {path}: file does not exist")

    def test_limit(self) -> None:
        """The contents may have as many bytes as the limit says, not one more."""
        path = self.archive(("a", bytes(600)), ("b", bytes(400)))
        self.assertEqual(len(self.open(path, 1000).digests()), 2)
        self.assertEqual(
            self.refused(path, 999), "plugin package size is too large, please ensure the uncompressed size is less than 999 bytes"
        )

    def test_lie_about_sizes(self) -> None:
        """An entry that inflates to more or less than it declares is refused, and no more is inflated than it declared."""
        for declared in (100, 6_000_000):
            data = bytearray(self.archive(("z", bytes(5_000_000))).read_bytes())
            for place in (data.rfind(b"PK\x03\x04") + 22, data.rfind(b"PK\x01\x02") + 24):
                data[place : place + 4] = struct.pack("<I", declared)
            path = self.scratch() / "a"
            path.write_bytes(data)
            self.assertTrue(self.refused(path, 10_000_000).startswith("read z: "))

    def test_damage(self) -> None:
        """A wrong CRC, other compressions and encryption are refused with the name of the entry."""
        path = self.scratch() / "a"
        stored = self.archive(("z", b"content"), compression=zipfile.ZIP_STORED).read_bytes()
        encrypted = bytearray(stored)
        for place in (stored.rfind(b"PK\x03\x04") + 6, stored.rfind(b"PK\x01\x02") + 8):
            encrypted[place] |= 1
        lzma = self.archive(("z", b"content"), compression=zipfile.ZIP_LZMA).read_bytes()
        sizes = stored.rfind(b"PK\x01\x02") + 20
        short = stored[:sizes] + struct.pack("<II", 5000, 5000) + stored[sizes + 8 :]
        for data, said in (
            (stored.replace(b"content", b"CONTENT"), "Bad CRC-32"),
            (bytes(encrypted), "it is encrypted"),
            (lzma, "compression method 14 is not supported"),
            (short, "it ends too early"),
        ):
            path.write_bytes(data)
            refusal = self.refused(path)
            self.assertTrue(refusal.startswith(f"read z: {said}"), refusal)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
    def test_any_damage(self, changes: list[tuple[int, int]], shorter: bool) -> None:
        """Whatever byte is wrong, the archive is read or refused, never anything else."""
        data = bytearray(DAMAGED)
        for place, value in changes:
            if shorter:
                del data[place % len(data)]
            else:
                data[place % len(data)] = value
        with contextlib.suppress(UnreadablePackage), Archive.open_blocking(io.BytesIO(data)) as archive:
            archive.digests()

    def test_too_many_entries(self) -> None:
        """An archive of very many files is refused."""
        files = [(f"f{number}", b"") for number in range(MAX_ENTRIES + 1)]
        self.assertIn(f"at most {MAX_ENTRIES}", self.refused(self.archive(*files, compression=zipfile.ZIP_STORED)))

    def test_huge_directory(self) -> None:
        """A central directory of many megabytes is not even read."""
        names = [("x" * 60_000 + str(number), b"") for number in range(80)]
        self.assertEqual(self.refused(self.archive(*names)), "difypkg: not a valid difypkg file")


class ChecksumTests(PackageCase):
    def of(self, files: dict[str, bytes]) -> str:
        with Archive.open_blocking(self.pack(files)) as archive:
            return checksum(archive.digests())

    def test_vector(self) -> None:
        """The test vector of package-format 26."""
        self.assertEqual(self.of(VECTOR), VECTOR_CHECKSUM)

    def test_only_names_and_contents_count(self) -> None:
        """Order, compression, comment and folders do not count."""
        other = [("_assets/", b""), *reversed(VECTOR.items())]
        path = entries(self.scratch() / "a", other, comment=b"hello", compression=zipfile.ZIP_STORED)
        with Archive.open_blocking(path) as archive:
            self.assertEqual(checksum(archive.digests()), VECTOR_CHECKSUM)

    @settings(deadline=None)
    @given(st.dictionaries(NAMES, st.binary(min_size=32, max_size=32), max_size=6), st.randoms())
    def test_any_order(self, digests: dict[str, bytes], random: object) -> None:
        """The checksum does not depend on the order, and changes with any name or content."""
        names = list(digests)
        random.shuffle(names)  # type: ignore[attr-defined]
        self.assertEqual(checksum({name: digests[name] for name in names}), checksum(digests))
        for name in names:
            self.assertNotEqual(checksum({**digests, name: b"-" * 32}), checksum(digests))
            self.assertNotEqual(checksum({other + ("x" if other == name else ""): digests[other] for other in names}), checksum(digests))


class CleanTests(PackageCase):
    def test_steps(self) -> None:
        """Empty, `.` and `..` steps are resolved, and what leads outside still shows."""
        for path, cleaned in {"a/./b//c/../d": "a/b/d", "./a": "a", "../a": "../a", "//a": "/a", "": ".", "a/..": "."}.items():
            self.assertEqual(clean(path), cleaned)
