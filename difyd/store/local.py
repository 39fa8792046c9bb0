"""Blobs as files below a directory (state-and-cluster 10.2, 12.2)."""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import Factory, define, field
from zope.interface import implementer

from difyd.errors import StorageFailed
from difyd.store.blobs import BlobMissing, IObjects, IStaged, check_key

_HALF_WRITTEN: Final = ".difyd-"
"""How the names of files begin that are not in their place yet; listings of either daemon skip hidden names."""


@implementer(IObjects)
@define(eq=False)
class LocalObjects:
    """
    One file per blob. A file is written beside its place, synced and renamed, so it is whole or not there, whenever we die.

    Such a death leaves a hidden file behind, which the next `open_blocking` removes from `areas` (key prefixes).
    """

    root: Path
    areas: Sequence[str] = ()
    kind: str = field(default="local", init=False)
    _root: str = field(default=Factory(lambda self: str(self.root), takes_self=True), init=False)

    def open_blocking(self) -> None:
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as why:
            raise StorageFailed(f"the storage directory {self.root} cannot be used: {why}") from why
        for area in self.areas:
            _sweep(self._path(area))

    def read_blocking(self, key: str) -> bytes:
        with _reading(key), open(self._path(key), "rb", buffering=0) as file:
            return file.readall()

    def write_file_blocking(self, key: str, source: Path | str) -> None:
        path = self._path(key)
        try:
            with _half_written(path) as half:
                shutil.copyfile(source, half)
                _sync(half)
                _put(half, path)
        except OSError as why:
            raise StorageFailed(f"{key} cannot be stored: {why}") from why

    def fetch_blocking(self, key: str, destination: Path) -> None:
        with _reading(key), _half_written(str(destination.absolute())) as half:
            shutil.copyfile(self._path(key), half)
            os.replace(half, destination)

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
        path = self._path(key)
        half = _half_name(path)
        try:
            try:
                _write(half, data)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
                _write(half, data)
        except OSError as why:
            with suppress(OSError):
                os.unlink(half)
            raise StorageFailed(f"{key} cannot be stored: {why}") from why
        return _StagedFile(key, half, path)

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"


@implementer(IStaged)
@define(eq=False)
class _StagedFile:
    key: str
    _half: str
    _path: str

    def commit_blocking(self) -> None:
        try:
            _put(self._half, self._path)
        except OSError as why:
            self.discard_blocking()
            raise StorageFailed(f"{self.key} cannot be stored: {why}") from why

    def discard_blocking(self) -> None:
        with suppress(OSError):
            os.unlink(self._half)


def _half_name(path: str) -> str:
    return f"{os.path.dirname(path)}/{_HALF_WRITTEN}{secrets.token_hex(8)}"


@contextmanager
def _half_written(path: str) -> Iterator[str]:
    """A name beside `path`; whatever is still there at the end is removed."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    half = _half_name(path)
    try:
        yield half
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
        raise StorageFailed(f"{key} cannot be read: {why}") from why


def _put(half: str, path: str) -> None:
    """Into its place; the directory is synced too, or a power failure could still undo the renaming."""
    os.replace(half, path)
    _sync(os.path.dirname(path))


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    """A new file with these bytes, on the disk."""
    view = memoryview(data)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def _sweep(directory: str) -> None:
    """Remove what a killed daemon left half-written. What cannot be removed hurts nobody but the disk."""
    for where, _, names in os.walk(directory):
        for name in names:
            if name.startswith(_HALF_WRITTEN):
                with suppress(OSError):
                    os.unlink(os.path.join(where, name))
