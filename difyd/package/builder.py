"""Building a `.difypkg` from a directory: the same input gives the same bytes (package-format 3)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from difyd.package import requirements
from difyd.package.archive import checksum
from difyd.package.assets import FOLDER, icons
from difyd.package.directory import PluginDirectory
from difyd.package.documents.source import lines
from difyd.package.documents.yaml_source import YamlSource
from difyd.package.errors import UnpackablePlugin, UnreadablePackage
from difyd.package.kinds import KINDS
from difyd.package.loader import MANIFEST_PATH, load
from difyd.package.manifest import MANIFEST_FILE, assemble
from difyd.package.regrets import regrets_blocking
from difyd.package.zipwriter import write_archive_blocking

DEFAULT_MAX_SIZE: Final = 50 * 1024 * 1024
_SHOWN: Final = 5
_MOVED: Final = {"permission": "resource.permission", "runner": "meta.runner"}
"""Keys of older documents, which nobody reads, and their place today (package-format 24)."""


def build_package_blocking(source: Path, target: Path, *, max_size: int = DEFAULT_MAX_SIZE, uv: str = "") -> list[str]:
    """
    Check the plugin in the directory `source` and write its package as the file `target`, whole or not at all.

    `max_size`: bytes of all files together. `uv`: the executable that exports locked requirements; empty for the one on PATH. The result is
    what a daemon would refuse in the package or its author may regret, one sentence each. Raises UnreadablePackage with the words of
    package-format 9, UnpackablePlugin with those of 3.4 and 18.3, OSError.
    """
    plugin = _Plugin.open_blocking(source)
    plugin.check()
    plugin.add_requirements(uv)
    _check_size(plugin.directory.sizes(), max_size)
    write_archive_blocking(((path, plugin.directory.stream(path)) for path in plugin.directory.sizes()), target)
    return list(regrets_blocking(target, plugin.manifest, plugin.providers))


def directory_checksum_blocking(source: Path, *, uv: str = "") -> str:
    """The checksum that the package of the plugin in the directory `source` will have. Raises BadPackage, OSError."""
    plugin = _Plugin.open_blocking(source)
    plugin.add_requirements(uv)
    digests = {}
    for path in plugin.directory.sizes():
        hasher = hashlib.sha256()
        for piece in plugin.directory.stream(path):
            hasher.update(piece)
        digests[path] = hasher.digest()
    return checksum(digests)


def write_package_blocking(files: Mapping[str, bytes], target: Path) -> None:
    """Write these files, by path, as a package, checking nothing: for tests and tools that know what they want."""
    write_archive_blocking(((path, (content,)) for path, content in sorted(files.items(), key=lambda item: item[0].encode())), target)


@frozen
class _Plugin:
    """A plugin that can be read."""

    directory: PluginDirectory
    manifest: dict[str, Any]
    providers: dict[str, dict[str, Any]]

    @classmethod
    def open_blocking(cls, source: Path) -> "_Plugin":
        directory = PluginDirectory.open_blocking(source)
        return cls(directory, *load(directory))

    def check(self) -> None:
        """What packaging refuses. Raises UnpackablePlugin."""
        _check_places(self.directory.read(MANIFEST_PATH))
        problems = list(MANIFEST_FILE.check(self.manifest))
        for kind in KINDS:
            if len(self.manifest["plugins"][kind.files] or ()) > 1:
                raise UnpackablePlugin(f"{MANIFEST_PATH}: plugins.{kind.files}: only one provider file can count")
        if problems:
            raise UnpackablePlugin("\n".join(f"{MANIFEST_PATH}: {line}" for line in lines(iter(problems)).splitlines()))
        for icon in icons(assemble(self.manifest, self.providers, verified=False)):
            try:
                self.directory.read(FOLDER + icon.name)
            except UnreadablePackage as why:
                raise UnpackablePlugin(f"{icon.words} not found\nassets invalid") from why

    def add_requirements(self, uv: str) -> None:
        if requirements.are_missing(self.directory.root, self.manifest["meta"]["runner"]["language"]):
            self.directory.add(requirements.FILE, requirements.export_blocking(self.directory.root, uv))


def _check_places(manifest: bytes) -> None:
    source = YamlSource()
    node = source.parse(manifest)
    members = {} if node is None or source.is_null(node) else source.members(node, "manifest")
    for old, new in _MOVED.items():
        if old in members:
            raise UnpackablePlugin(f"{MANIFEST_PATH}: line {members[old].line}: {old}: nobody reads it here, it belongs under {new}")


def _check_size(sizes: Mapping[str, int], limit: int) -> None:
    total = 0
    for count, size in enumerate(sizes.values(), 1):
        total += size
        if total > limit:
            largest = sorted(list(sizes.items())[:count], key=lambda item: -item[1])[:_SHOWN]
            listed = "".join(f"{place}. name: {path}, size: {size} bytes\n" for place, (path, size) in enumerate(largest, 1))
            raise UnpackablePlugin(
                f"Plugin package size is too large. Please ensure the uncompressed size is less than {limit} bytes.\n"
                f"Packaged file info:\n{listed}"
            )
