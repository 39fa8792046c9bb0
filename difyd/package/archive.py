"""
Reading a zip that anybody may have made: a package or a bundle (package-format 2).

The standard library reads the archive; the rules around it are ours. Names are compared by their raw bytes, only stored and deflated
entries are read, and everything is bounded before it is allocated: the central directory, the number of entries, the declared sizes. What an
entry inflates to is cut at its declared size and then fails its CRC, so that a lie about sizes costs nothing.
"""

import hashlib
import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from attrs import define, field, frozen

from difyd.package.errors import UnreadablePackage

MAX_ENTRIES: Final = 10_000
"""Files and directories in one archive (package-format 25.1)."""
_MAX_DIRECTORY: Final = 4 * 1024 * 1024
"""Bytes of a central directory: 400 for each of the entries that we take."""
_BLOCK: Final = 256 * 1024
_UTF8_NAME: Final = 0x800
_ENCRYPTED: Final = 0x1
_READABLE: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a feature of zip that the library lacks
    struct.error,
    ValueError,  # offsets outside of the file; undecodable names
    OverflowError,
)
NOT_A_ZIP: Final = "difypkg: not a valid difypkg file"


@frozen
class Entry:
    """A file in an archive."""

    name: str
    """Its path as it is looked up: clean, relative, `/` between folders; bytes that are not UTF-8 as lone surrogates."""
    size: int
    raw: str
    """Its name as it is written in the archive; an asset is told by it (package-format 18.1)."""
    _info: zipfile.ZipInfo = field(repr=False, eq=False)


@define(eq=False)
class Archive:
    """
    An open archive, read from its file piece by piece; a context manager.

    `entries` are the files in the order of the central directory. Directory entries are no files and are passed over, except that their
    names must be decent ones, too. All methods raise UnreadablePackage, and OSError when the disk itself fails.
    """

    entries: tuple[Entry, ...]
    folders: tuple[str, ...]
    """Explicit directory entries, clean."""
    comment: bytes = field(repr=False)
    _zip: zipfile.ZipFile = field(repr=False)
    _file: BinaryIO = field(repr=False)
    _by_name: dict[str, Entry] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._by_name = {entry.name: entry for entry in self.entries}

    @classmethod
    def open_blocking(cls, source: Path | BinaryIO, *, max_size: int | None = None) -> Self:
        """
        Open the archive in a file and check its directory: names, number, compression, and the sum of the declared sizes against `max_size`.

        Raises UnreadablePackage with the texts of package-format 2.
        """
        file = source.open("rb") if isinstance(source, Path) else source
        try:
            opened = _open(file)
            return cls(*_directory(opened, max_size), opened.comment, opened, file)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def names(self) -> list[str]:
        """The paths of all files, in archive order."""
        return [entry.name for entry in self.entries]

    def find(self, path: str) -> Entry | None:
        """The file of exactly this path."""
        return self._by_name.get(path)

    def read(self, path: str) -> bytes:
        """The content of the file of exactly this path (package-format 2.3)."""
        if path != clean(path) or path.startswith(("/", "../")) or path in ("", ".."):
            raise UnreadablePackage(f"open {path}: invalid argument")
        entry = self.find(path)
        if entry is None:
            raise UnreadablePackage(f"open {path}: file does not exist")
        return b"".join(self.stream(entry))

    def stream(self, entry: Entry) -> Iterator[bytes]:
        """The content of a file in pieces, checked against its size and CRC by the time the last one is out."""
        size = 0
        try:
            with self._zip.open(entry._info) as content:
                while piece := content.read(_BLOCK):
                    size += len(piece)
                    yield piece
        except _BROKEN as why:
            raise UnreadablePackage(f"read {entry.name}: {why if str(why) else 'it ends too early'}") from why
        if size != entry.size:
            raise UnreadablePackage(f"read {entry.name}: {size} bytes where its entry says {entry.size}")

    def digests(self) -> dict[str, bytes]:
        """SHA-256 of each file's content by its path, in archive order. Reads the whole archive, and so finds every broken entry."""
        found = {}
        for entry in self.entries:
            hasher = hashlib.sha256()
            for piece in self.stream(entry):
                hasher.update(piece)
            found[entry.name] = hasher.digest()
        return found


def checksum(digests: dict[str, bytes]) -> str:
    """The checksum of a package from the digests of its files (package-format 6.4): 64 hex digits, whatever the order."""
    paths = sorted((name.encode("utf-8", "surrogateescape"), digest) for name, digest in digests.items())
    return hashlib.sha256(b"".join(hashlib.sha256(path).digest() + digest for path, digest in paths)).hexdigest()


def clean(path: str) -> str:
    """`path` without empty, `.` and `..` steps, as far as they can be resolved; the empty path is `.`."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned  # POSIX lets two leading slashes stand


class _Bounded(io.RawIOBase):
    """A file under the library's hands: what the archive states about sizes and places must make sense before it is followed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("the directory of the archive is too large")
        return self._file.read(size if size >= 0 else _MAX_DIRECTORY)  # without a size: the comment at the end, at most 64 KiB

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("an entry lies before the beginning of the archive")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _open(file: BinaryIO) -> zipfile.ZipFile:
    try:
        # latin-1 gives the bytes of names without the UTF-8 flag back unchanged
        return zipfile.ZipFile(_Bounded(file), metadata_encoding="latin-1")
    except _BROKEN as why:
        raise UnreadablePackage(NOT_A_ZIP) from why


def _directory(opened: zipfile.ZipFile, max_size: int | None) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    infos = opened.infolist()
    if len(infos) > MAX_ENTRIES:
        raise UnreadablePackage(f"plugin package has {len(infos)} entries, at most {MAX_ENTRIES} are allowed")
    if max_size is not None and sum(info.file_size for info in infos) > max_size:
        raise UnreadablePackage(f"plugin package size is too large, please ensure the uncompressed size is less than {max_size} bytes")
    entries: dict[str, Entry] = {}
    folders = []
    for info in infos:
        raw = _raw_name(info)
        if raw == "./":
            continue
        name = _checked_name(raw)
        if raw.endswith("/"):
            folders.append(name)
            continue
        if name in entries:
            raise UnreadablePackage(f"plugin package has two entries for {name}")
        if info.compress_type not in _READABLE:
            raise UnreadablePackage(f"read {name}: compression method {info.compress_type} is not supported")
        if info.flag_bits & _ENCRYPTED:
            raise UnreadablePackage(f"read {name}: it is encrypted, packages have no passwords")
        entries[name] = Entry(name, info.file_size, raw, info)
    return tuple(entries.values()), tuple(folders)


def _raw_name(info: zipfile.ZipInfo) -> str:
    """The name with every byte that the archive has, which the library's `filename` does not promise (it ends at a NUL)."""
    encoding = "utf-8" if info.flag_bits & _UTF8_NAME else "latin-1"
    return info.orig_filename.encode(encoding).decode("utf-8", "surrogateescape")


def _checked_name(raw: str) -> str:
    name = clean(raw)
    if name.startswith(("/", "../")) or name in (".", ".."):
        raise UnreadablePackage(f"open {raw}: invalid argument")
    if "\\" in name or "\0" in name:
        raise UnreadablePackage(f"open {raw}: file does not exist")
    return name
