"""One pass over a package: bounded, decoded, hashed, verified (package-format 2-9, 18-20)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.package.archive import Archive, checksum
from difyd.package.assets import Asset, Remapped, find_asset, icons, remap
from difyd.package.errors import BadAuthor, UnreadablePackage
from difyd.package.loader import load
from difyd.package.manifest import assemble, check_manifest
from difyd.package.readme import readmes
from difyd.package.signature import Keys, Unverified, Verification, verify

MAX_DECLARATION: Final = 16 * 1024 * 1024
"""Bytes of a declaration's JSON: every listing shows it, and a short file can say much by aliases."""

__all__ = ["Asset", "Package", "Remapped", "read_asset_blocking", "read_package_blocking", "read_readmes_blocking"]


@frozen
class Package:
    """What the daemon knows of a package without running it."""

    identifier: PluginIdentifier
    verification: Verification | None
    """Who vouches for it; None when it is unverified. The declaration's `verified` says the same."""
    unverified_because: str
    """A sentence: which check of the signature failed; empty when it is verified."""
    _declaration: Mapping[str, Any] = field(repr=False)
    _icons: Mapping[str, bytes | None] = field(repr=False)

    @property
    def declaration(self) -> bytes:
        """The JSON of the declaration with icons as file names: what `decode/from_identifier` and `extract` show as `manifest`."""
        return msgspec.json.encode(self._declaration)

    def remap(self) -> Remapped:
        """The declaration to store and serve, and the assets it needs. Raises MissingIcon."""
        return remap(self._declaration, self._icons.get)


def read_package_blocking(path: Path, *, keys: Keys, max_size: int | None = None) -> Package:
    """
    Read the package in the file `path`.

    `max_size` bounds the sum of the uncompressed sizes; None for packages that have been accepted before. Raises, in this order:
    UnreadablePackage (zip, sizes, entries, anything that does not parse), BadIdentifier, BadAuthor, IllegalManifest; OSError when the disk
    fails. Signatures are only reported: whether they are demanded decides `policy.admit`. Missing icons are found by `Package.remap`.
    """
    with Archive.open_blocking(path, max_size=max_size) as archive:
        manifest, providers = load(archive)
        digests = archive.digests()
        identifier = PluginIdentifier.parse(f"{identity(manifest)}@{checksum(digests)}")
        if identifier.remote_like:
            raise BadAuthor
        check_manifest(manifest["author"], manifest["name"], providers)
        try:
            verification, because = verify(archive, digests, keys), ""
        except Unverified as why:
            verification, because = None, why.reason
        declaration = assemble(manifest, providers, verified=verification is not None)
        if len(msgspec.json.encode(declaration)) > MAX_DECLARATION:
            raise UnreadablePackage(f"the declaration of the plugin is larger than {MAX_DECLARATION} bytes")
        names = {icon.name for icon in icons(declaration)}
        return Package(identifier, verification, because, declaration, {name: find_asset(archive, name) for name in names})


def identity(manifest: Mapping[str, Any]) -> str:
    """`author/name:version`, without the author when there is none (package-format 6.3)."""
    author = f"{manifest['author']}/" if manifest["author"] else ""
    return f"{author}{manifest['name']}:{manifest['version']}"


def read_asset_blocking(path: Path, name: str) -> bytes | None:
    """The asset `name` (relative to `_assets/`, exactly) of the package in the file `path`, or None. Raises UnreadablePackage, OSError."""
    with Archive.open_blocking(path) as archive:
        return find_asset(archive, name)


def read_readmes_blocking(path: Path) -> dict[str, str]:
    """The readmes of the package in the file `path`, see `readme.readmes`. Raises UnreadablePackage, OSError."""
    with Archive.open_blocking(path) as archive:
        return readmes(archive)
