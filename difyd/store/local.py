"""Blobs as files below a directory (state-and-cluster 10.2, 12.2)."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import Factory, define, field
from zope.interface import implementer

from difyd.errors import StorageFailed
from difyd.store.blobs import BlobMissing, IObjects, IStaged, UnfitKey, check_key

_STAGING: Final = ".difyd-staging"
"""The directory where files are written; listings of either daemon skip hidden names, and no key leads there."""
_TAKEN: Final = frozenset((errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST))
"""What the file system says when a directory stands where a file should, or a file where a directory should."""


@implementer(IObjects)
@define(eq=False)
class LocalObjects:
    """
    One file per blob. A file is written elsewhere, synced and renamed into its place, so it is whole or not there, whenever we die.

    Elsewhere is one directory of the root, and one in each of `areas` (key prefixes) that is a file system of its own when the store is
    opened. Our death leaves files there, which the next `open_blocking` removes without a look at anything else.
    """

    root: Path
    areas: Sequence[str] = ()
    _file_system: Callable[[str], int | None] = field(default=Factory(lambda: _device))
    kind: str = field(default="local", init=False)
    _root: str = field(default=Factory(lambda self: str(self.root), takes_self=True), init=False)
    _mounted: Sequence[str] = field(default=(), init=False)

    def open_blocking(self) -> None:
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as why:
            raise StorageFailed(f"the storage directory {self.root} cannot be used: {why}") from why
        device = self._file_system(self._root)
        self._mounted = [area for area in self.areas if self._file_system(self._path(area)) not in (device, None)]
        for directory in (self._root, *(self._path(area) for area in self.areas)):
            _sweep(f"{directory}/{_STAGING}")

    def read_blocking(self, key: str) -> bytes:
        with _reading(key), open(self._path(key), "rb", buffering=0) as file:
            return file.readall()

    def write_file_blocking(self, key: str, source: Path | str) -> None:
        path, half = self._path(key), self._half(key)
        try:
            with _removing(half):
                shutil.copyfile(source, half)
                _sync(half)
                _put(half, path)
                _sync(os.path.dirname(path))
        except OSError as why:
            raise _not_stored(key, why) from why

    def fetch_blocking(self, key: str, destination: Path) -> None:
        beside = str(destination.absolute().with_name(f"{_STAGING}-{secrets.token_hex(8)}"))
        with _reading(key), _removing(beside):
            shutil.copyfile(self._path(key), beside)
            os.replace(beside, destination)

    def copy_blocking(self, source: str, target: str) -> None:
        origin, _ = self._path(source), self._path(target)
        if self.size_blocking(source) is None:
            raise BlobMissing(source)
        self.write_file_blocking(target, origin)

    def size_blocking(self, key: str) -> int | None:
        try:
            found = os.stat(self._path(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as why:
            if why.errno == errno.ENAMETOOLONG:
                return None  # nothing can be there
            raise StorageFailed(f"{key} cannot be looked up: {why}") from why
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def delete_blocking(self, key: str) -> bool:
        if self.size_blocking(key) is None:
            return False
        try:
            os.unlink(self._path(key))
        except FileNotFoundError:
            return False
        except OSError as why:
            raise StorageFailed(f"{key} cannot be deleted: {why}") from why
        return True

    def list_blocking(self, prefix: str) -> list[str]:
        try:
            return sorted(_files(self._path(prefix), ""))
        except OSError as why:
            raise StorageFailed(f"{prefix} cannot be listed: {why}") from why

    def stage_blocking(self, key: str, data: bytes) -> IStaged:
        path, half = self._path(key), self._half(key)
        try:
            _write(half, data)
        except OSError as why:
            with suppress(OSError):
                os.unlink(half)
            raise StorageFailed(f"{key} cannot be stored: {why}") from why
        return _StagedFile(key, half, path)

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    def _half(self, key: str) -> str:
        """A new name in the file system of the key's place."""
        area = next((f"{area}/" for area in self._mounted if key.startswith(f"{area}/")), "")
        return f"{self._root}/{area}{_STAGING}/{secrets.token_hex(8)}"


@implementer(IStaged)
@define(eq=False)
class _StagedFile:
    key: str
    _half: str
    _path: str

    def commit_blocking(self, *, lasting: bool = True) -> None:
        try:
            _put(self._half, self._path)
            if lasting:
                _sync(os.path.dirname(self._path))
        except OSError as why:
            self.discard_blocking()
            raise _not_stored(self.key, why) from why

    def discard_blocking(self) -> None:
        with suppress(OSError):
            os.unlink(self._half)


@contextmanager
def _removing(half: str) -> Iterator[None]:
    """Makes the directory of a file that is to be written; if the file is still there at the end it is removed."""
    os.makedirs(os.path.dirname(half), 0o755, exist_ok=True)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(half)


@contextmanager
def _reading(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as why:
        raise BlobMissing(key) from why
    except OSError as why:
        if why.errno == errno.ENAMETOOLONG:
            raise BlobMissing(key) from why
        raise StorageFailed(f"{key} cannot be read: {why}") from why


def _put(half: str, path: str) -> None:
    """Into its place. Only once the directory is synced, too, a power failure can no longer undo it."""
    try:
        os.replace(half, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.replace(half, path)
    except IsADirectoryError:
        for directory, _, _ in os.walk(path, topdown=False):
            os.rmdir(directory)  # what keys that are deleted have left; one with a file in it stays
        os.replace(half, path)


def _not_stored(key: str, why: OSError) -> StorageFailed:
    if why.errno == errno.ENAMETOOLONG:
        return UnfitKey("a part of the key, between two slashes, has more than 255 bytes")
    if why.errno in _TAKEN:
        return UnfitKey("the key begins with another key, or another begins with it: no value has values below it")
    return StorageFailed(f"{key} cannot be stored: {why}")


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    """A new file with these bytes, on the disk."""
    view = memoryview(data)
    descriptor = _create(path)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        return os.open(path, flags, 0o644)


def _files(directory: str, before: str) -> Iterator[str]:
    """Relative names of all files that are not hidden; a directory that is missing, or goes meanwhile, has none."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(entry.path, f"{before}{entry.name}/")
            elif entry.is_file():
                yield before + entry.name


def _device(directory: str) -> int | None:
    """The file system of a directory; None when it is not there yet: then it will be made in the root's."""
    try:
        return os.stat(directory).st_dev
    except OSError:
        return None


def _sweep(directory: str) -> None:
    """Remove what a killed daemon left half-written. What cannot be removed hurts nobody but the disk."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                os.unlink(entry.path)
