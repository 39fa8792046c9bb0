"""One pass over a package: bounded, decoded, hashed, verified (package-format 2-9, 18-20)."""

from pathlib import Path

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.package.signature import Keys, Verification


@frozen
class Asset:
    """A file that a declaration refers to, under the id by which clients fetch it (package-format 18.1)."""

    id: str
    content: bytes = field(repr=False)


@frozen
class Remapped:
    """A declaration as it is stored and served: icon names replaced by asset ids, and the assets that must be stored with it."""

    declaration: bytes = field(repr=False)
    assets: tuple[Asset, ...]


@frozen
class Package:
    """What the daemon knows of a package without running it."""

    identifier: PluginIdentifier
    declaration: bytes = field(repr=False)
    """The JSON of the declaration with icons as file names: what `decode/from_identifier` and `extract` show as `manifest`."""
    verification: Verification | None
    """Who vouches for it; None when it is unverified. The declaration's `verified` says the same."""
    unverified_because: str
    """A sentence: which check of the signature failed; empty when it is verified."""

    def remap(self) -> Remapped:
        """The declaration to store and serve. Pure; raises MissingIcon, to which `failed to remap assets` is already added."""
        raise NotImplementedError


def read_package_blocking(path: Path, *, keys: Keys, max_size: int | None = None) -> Package:
    """
    Read the package in the file `path`.

    `max_size` bounds the sum of the uncompressed sizes; None for packages that have been accepted before. Raises, in this order:
    UnreadablePackage (zip, sizes, entries, anything that does not parse), BadIdentifier, BadAuthor, IllegalManifest; OSError when the disk
    fails. Signatures are only reported: whether they are demanded decides `policy.admit`. Missing icons are found by `Package.remap`.
    """
    raise NotImplementedError


def read_asset_blocking(path: Path, name: str) -> bytes | None:
    """The asset `name` (relative to `_assets/`, exactly) of the package in the file `path`, or None. Raises UnreadablePackage, OSError."""
    raise NotImplementedError


def read_readmes_blocking(path: Path) -> dict[str, str]:
    """
    The readmes of a package by language (package-format 19); `en_US` is always there.

    Raises UnreadablePackage `open README.md: file does not exist\\nen_US readme not found` when there is none at the root; OSError.
    """
    raise NotImplementedError
