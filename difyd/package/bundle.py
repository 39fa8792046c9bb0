"""Bundles: a list of plugins to install together (package-format 22)."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml
from attrs import define, field, frozen

from difyd.package.archive import Archive
from difyd.package.assets import FOLDER
from difyd.package.dependencies import Dependency, DependencyType, PackageDependency
from difyd.package.errors import UnreadablePackage
from difyd.package.loader import MANIFEST_PATH, Files, YamlFiles
from difyd.package.schema.shared import I18N, LANGUAGES, TAG_LIST
from difyd.package.schema.types import Field, ListOf, Record, Text
from difyd.package.zipwriter import whole_file, write_archive_blocking

MAX_DEPENDENCIES: Final = 1000
"""Each package of a bundle is shown with its declaration: a short manifest must not become an endless answer."""
MAX_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes of its manifest: nothing else bounds what a bundle inflates to before its packages are taken out."""
_README: Final = "README"
_MANIFEST: Final = Record(
    "BundleDeclaration",
    (
        Field("name", Text()),
        Field("labels", I18N),
        Field("description", I18N),
        Field("icon", Text()),
        Field("version", Text()),
        Field("author", Text()),
        Field("type", Text()),
        Field("dependencies", ListOf(DependencyType(), list)),
        Field("tags", TAG_LIST),
    ),
)
"""Nothing but patterns and types of dependencies is checked on reading (package-format 22.1, 25.21)."""


@define(eq=False)
class BundleArchive:
    """An open bundle, its packages still inside; a context manager."""

    manifest: dict[str, Any]
    _archive: Archive
    _budget: int
    """Bytes that may still be taken out of it."""

    @classmethod
    def open_blocking(cls, path: Path, *, max_package_size: int) -> Self:
        """
        Open the bundle in the file `path` and read its manifest.

        Packages are compressed already: what is taken out may have twice the bytes of the bundle, and one package more. Raises
        UnreadablePackage, OSError.
        """
        archive = Archive.open_blocking(path)
        try:
            manifest = archive.find(MANIFEST_PATH)
            if manifest is not None and manifest.size > MAX_MANIFEST:
                raise UnreadablePackage(f"the {MANIFEST_PATH} of the bundle is larger than {MAX_MANIFEST} bytes")
            opened = read_manifest(archive)
            if opened["type"] == "plugin":
                raise UnreadablePackage("this is the package of a plugin and no bundle: upload it as a package")
            return cls(opened, archive, 2 * path.stat().st_size + max_package_size)
        except BaseException:
            archive.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None) -> None:
        self._archive.close()

    @property
    def dependencies(self) -> list[Dependency]:
        found: list[Dependency] = self.manifest["dependencies"]
        return found

    def copy_asset(self, name: str, target: Path) -> bool:
        """Write the file `_assets/<name>` as `target`; False when there is none. Raises UnreadablePackage, OSError."""
        raw = FOLDER + name
        entry = next((entry for entry in self._archive.entries if entry.raw == raw), None)
        if entry is None:
            return False
        self._budget -= entry.size
        if self._budget < 0:
            raise UnreadablePackage("the packages of the bundle are too large")
        with target.open("wb") as file:
            for piece in self._archive.stream(entry):
                file.write(piece)
        return True


def read_manifest(files: Files) -> dict[str, Any]:
    """The manifest of a bundle. Raises UnreadablePackage."""
    manifest: dict[str, Any] = YamlFiles(files).parsed(files.read(MANIFEST_PATH), _MANIFEST)
    count = len(manifest["dependencies"])
    if count > MAX_DEPENDENCIES:
        raise UnreadablePackage(f"the bundle has {count} dependencies, at most {MAX_DEPENDENCIES} are allowed")
    return manifest


@define(eq=False)
class Bundle:
    """A bundle as its author edits it, all of it in memory; for tools, not for uploads."""

    manifest: dict[str, Any]
    assets: dict[str, bytes] = field(factory=dict, repr=False)
    """By their names below `_assets/`."""
    readmes: dict[str, bytes] = field(factory=dict, repr=False)
    _dropped: set[str] = field(factory=set, init=False)

    def append(self, dependency: Dependency) -> None:
        self.manifest["dependencies"].append(dependency)

    def append_package(self, checksum: str, content: bytes) -> None:
        """Take a package in, under its checksum."""
        self.assets[checksum] = content
        self._dropped.discard(checksum)
        self.append(PackageDependency(checksum))

    def remove(self, index: int) -> None:
        """Take a dependency out, and its package with it. Raises IndexError."""
        removed = self.manifest["dependencies"].pop(index)
        if isinstance(removed, PackageDependency) and removed not in self.manifest["dependencies"]:
            self.assets.pop(removed.path, None)
            self._dropped.add(removed.path)

    def files(self) -> dict[str, bytes]:
        """What the bundle consists of, in the order of its archive (package-format 22.2)."""
        assets = {FOLDER + name: self.assets[name] for name in sorted(self.assets)}
        return {MANIFEST_PATH: _to_yaml(self.manifest), **assets, **{name: self.readmes[name] for name in sorted(self.readmes)}}

    def write_blocking(self, target: Path) -> None:
        """Write the bundle as the file `target`. Raises OSError."""
        write_archive_blocking(((name, (content,)) for name, content in self.files().items()), target)

    def save_blocking(self, root: Path) -> None:
        """Bring the bundle's directory up to date; the packages that were removed go. Raises OSError."""
        for name, content in self.files().items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write(content)
        for name in self._dropped:
            (root / FOLDER / name).unlink(missing_ok=True)


def load_bundle_blocking(path: Path) -> Bundle:
    """A bundle out of a file or a directory. Raises UnreadablePackage, OSError."""
    if path.is_dir():
        return _bundle(_Folder(path))
    with Archive.open_blocking(path) as archive:
        return _bundle(archive)


def new_bundle(name: str, author: str, description: str) -> Bundle:
    """A bundle of nothing: version 0.0.1, one text in all languages (package-format 22.2)."""
    manifest = _MANIFEST.empty()
    texts = dict.fromkeys(LANGUAGES, description)
    manifest.update(name=name, author=author, labels=texts, description=dict(texts), icon="icon.svg", version="0.0.1", type="bundle")
    return Bundle(manifest)


def _bundle(files: Files) -> Bundle:
    names = files.names()
    assets = {name.removeprefix(FOLDER): files.read(name) for name in names if name.startswith(FOLDER)}
    return Bundle(read_manifest(files), assets, {name: files.read(name) for name in names if name.startswith(_README) and "/" not in name})


@frozen
class _Folder:
    """The directory of a bundle; provides `Files`. Whatever else lies in it does not belong to the bundle."""

    _root: Path

    def names(self) -> list[str]:
        found = (path for pattern in ("*", FOLDER + "**/*") for path in self._root.glob(pattern) if path.is_file())
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def read(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError as why:
            raise UnreadablePackage(f"open {path}: file does not exist") from why


def _to_yaml(manifest: dict[str, Any]) -> bytes:
    dependencies = [{"type": one.type, "value": one.value()} for one in manifest["dependencies"]]
    shown = {**manifest, "dependencies": dependencies}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, default_flow_style=False).encode()
