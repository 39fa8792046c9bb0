"""A package becomes a working directory: all of it or nothing (package-format 2.5, local-runtime 3.2)."""

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from difyd.package.archive import Archive, Entry
from difyd.package.errors import UnreadablePackage

_FILE_MODE: Final = 0o644
_FOLDER_MODE: Final = 0o755
_FEW: Final = 200
_OURS: Final = (".venv", ".uv-cache")
"""
What the daemon itself puts into a working directory, and leaves out when a package brings it along: it would be trusted for it.

Packages made without an ignore file often hold the environment of their author; they get a real one instead.
"""


def extract_blocking(package: Path, destination: Path) -> None:
    """
    Create `destination`, which must not exist or be empty, with all files of the package but those that are the daemon's own.

    The directory is filled beside its place, synced, and renamed into it: it appears complete or not at all, whenever the daemon dies. Folders
    get mode 0755, files 0644; a symbolic link becomes a file that holds its text. Raises UnreadablePackage, and OSError when the disk
    fails; nothing is left behind then. What a killed daemon leaves is named `.<name>.<random>.extracting` in the parent folder.
    """
    destination.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".extracting", dir=destination.parent))
    try:
        with Archive.open_blocking(package) as archive:
            _fill(archive, beside)
        beside.chmod(_FOLDER_MODE)
        beside.rename(destination)  # also over an empty directory
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync(destination.parent)


def _is_ours(name: str) -> bool:
    return PurePosixPath(name).parts[0] in _OURS


def _fill(archive: Archive, root: Path) -> None:
    """Names have been checked when the archive was opened, and `root` holds no links: no path can leave it."""
    folders = {root}
    files = []
    for folder in archive.folders:
        if _is_ours(folder):
            continue
        _make(root / _on_disk(folder), folders)
    for entry in archive.entries:
        if _is_ours(entry.name):
            continue
        path = root / _on_disk(entry.name)
        _make(path.parent, folders)
        _write(archive, entry, path)
        files.append(path)
    _settle([*files, *folders])


def _on_disk(name: str) -> str:
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


def _settle(paths: list[Path]) -> None:
    """Have everything on the disk; of many files one by one that takes minutes where a single call takes a second."""
    if len(paths) > _FEW:
        os.sync()
        return
    for path in paths:
        _sync(path)


def _make(folder: Path, made: set[Path]) -> None:
    missing = []
    while folder not in made:
        missing.append(folder)
        folder = folder.parent
    for step in reversed(missing):
        try:
            step.mkdir()
        except FileExistsError as why:
            raise UnreadablePackage(f"plugin package has a file and a folder of one name: {step.name}") from why
        step.chmod(_FOLDER_MODE)  # whatever the umask says
        made.add(step)


def _write(archive: Archive, entry: Entry, path: Path) -> None:
    try:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    except FileExistsError as why:
        raise UnreadablePackage(f"plugin package has a file and a folder of one name: {entry.name}") from why
    with open(target, "wb") as file:
        os.fchmod(target, _FILE_MODE)
        for piece in archive.stream(entry):
            file.write(piece)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
