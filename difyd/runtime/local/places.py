"""
Where plugins live on disk, and when an environment counts (local-runtime 3, 4.3).

    <root>/<author>/<name>-<version>@<checksum>/          the working directory, with its environment in .venv
    <root>/<author>/<name>-<version>@<checksum>.log       what a build that failed had to say
    <root>/.uv-cache/                                     uv's, shared by all plugins, on their file system so that it can hard-link
    <root>/.building/<owner>/                             directories on their way; those of a dead daemon are swept at the next start
    <root>/.removed/                                      directories on their way out

Names that begin with a dot are ours: no author's name does.
"""

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.local.owner import Owner
from difyd.runtime.local.strays import working_directories_blocking

VENV: Final = ".venv"
MARKER: Final = Path(VENV, "dify", "plugin.json")
_FOLDER_MODE: Final = 0o755
_OF_ENVIRONMENTS: Final = (f"{VENV}/pyvenv.cfg", f"{VENV}/bin/*")
_OF_PACKAGES: Final = ("*.pth", "__editable__*", "*.dist-info/direct_url.json")
_LARGEST_TEXT: Final = 1024 * 1024


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


@frozen
class Places:
    """The directories of one daemon."""

    root: Path = field(converter=_absolute)
    """PLUGIN_WORKING_PATH, absolute: uv is given paths below it and runs somewhere else."""
    _owner: Owner

    @property
    def cache(self) -> Path:
        return self.root / ".uv-cache"

    @property
    def building(self) -> Path:
        return self.root / ".building"

    @property
    def removed(self) -> Path:
        return self.root / ".removed"

    def directory(self, identifier: PluginIdentifier) -> Path:
        return self.root / identifier.directory

    def log(self, identifier: PluginIdentifier) -> Path:
        return self.root / f"{identifier.directory}.log"

    def scratch_blocking(self) -> Path:
        """A new empty directory on the file system of the working directories, ours alone."""
        mine = self.building / f"{self._owner.pid}-{self._owner.started}"
        mine.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=mine))

    def try_blocking(self) -> None:
        """Raises OSError when nothing can be written here."""
        scratch = self.scratch_blocking()
        (scratch / "written").write_text("read")
        shutil.rmtree(scratch)

    def put_in_place_blocking(self, built: Path, identifier: PluginIdentifier) -> None:
        """Let the directory `built` become the working directory of `identifier`, instead of one that may be there."""
        place = self.directory(identifier)
        place.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        old = self.take_away_blocking(identifier)
        built.rename(place)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def take_away_blocking(self, identifier: PluginIdentifier) -> Path | None:
        """Move the working directory to where nobody takes it for one, which takes no time; the caller deletes it. None: there is none."""
        place = self.directory(identifier)
        self.log(identifier).unlink(missing_ok=True)
        self.removed.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        away = Path(tempfile.mkdtemp(dir=self.removed), "directory")
        try:
            place.rename(away)
        except FileNotFoundError:
            away.parent.rmdir()
            return None
        return away.parent

    def sweep_blocking(self) -> None:
        """Delete what daemons that are gone have left half-made or half-deleted."""
        for left in _children(self.removed):
            shutil.rmtree(left, ignore_errors=True)
        for left in _children(self.building):
            pid, _, started = left.name.partition("-")
            owner = Owner(int(pid), int(started), str(self.root)) if pid.isdecimal() and started.isdecimal() else None
            if owner is None or not owner.lives_blocking():
                shutil.rmtree(left, ignore_errors=True)

    def left_over_blocking(self, named: Collection[PluginIdentifier], before: float) -> list[PluginIdentifier]:
        """
        Plugins that have a directory or a log here, are not `named`, and were last worked on before that time.

        Only what is called like a plugin's and not in use by a process counts: nothing else is ours, and a second daemon may work here.
        """
        wanted = {identifier.directory for identifier in named}
        found = dict.fromkeys(
            identifier
            for folder in (self.root, *_children(self.root))
            for path in _children(folder)
            if (identifier := self._plugin_at(path)) is not None and identifier.directory not in wanted and _touched(path) < before
        )
        if not found:
            return []
        busy = working_directories_blocking()
        return [identifier for identifier in found if not any(at.is_relative_to(self.directory(identifier)) for at in busy)]

    def _plugin_at(self, path: Path) -> PluginIdentifier | None:
        if path.is_symlink():
            return None
        name = str(path.relative_to(self.root))
        return PluginIdentifier.of_directory(name if path.is_dir() else name.removesuffix(".log"))


def is_valid_blocking(directory: Path) -> bool:
    """Is there an environment that was finished, and is its Python still there? A link into nowhere, after an image changed, is none."""
    return (directory / VENV / "bin" / "python").exists() and (directory / MARKER).exists()


def site_packages_blocking(directory: Path) -> Path | None:
    """Where the environment of a working directory keeps its packages."""
    return next((directory / VENV).glob("lib/python3.*/site-packages"), None)


def mark_blocking(directory: Path, facts: Mapping[str, str]) -> None:
    """
    Write the marker that makes an environment count, as its last file.

    The name, the place and `timestamp` are the reference's, which never reads the content (4.3); `facts` are for people.
    """
    marker = directory / MARKER
    marker.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    beside = marker.with_suffix(".new")
    with beside.open("w") as file:
        json.dump({"timestamp": int(time.time()), **facts}, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(marker)


def relocate_blocking(directory: Path, place: Path) -> None:
    """
    Let an environment that was built in `directory` work in `place`, where it is about to be moved.

    An environment knows its own path in the first lines of its scripts, in its `activate` files and, when a plugin has a build system of its
    own, in the links of an editable installation. Files are replaced and not written into: uv hard-links from its cache.
    """
    old, new = str(directory).encode(), str(place).encode()
    files = [file for pattern in _OF_ENVIRONMENTS for file in directory.glob(pattern)]
    if (packages := site_packages_blocking(directory)) is not None:
        files += [file for pattern in _OF_PACKAGES for file in packages.glob(pattern)]
    for file in files:
        _replace_blocking(file, old, new)


def _replace_blocking(file: Path, old: bytes, new: bytes) -> None:
    if file.is_symlink() or not file.is_file() or file.stat().st_size > _LARGEST_TEXT:
        return
    content = file.read_bytes()
    if old not in content:
        return
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(content.replace(old, new))
    shutil.copymode(file, beside)
    os.replace(beside, file)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _touched(path: Path) -> float:
    """When somebody last made something of it; infinity when it has gone meanwhile."""
    return max((file.stat().st_mtime for file in (path, path / VENV, path / MARKER) if file.exists()), default=math.inf)
