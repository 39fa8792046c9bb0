"""Bundles: a list of plugins to install together (package-format 22)."""

from pathlib import Path
from typing import Any

from attrs import define


@define(eq=False)
class Bundle:
    """An open bundle; a context manager."""

    dependencies: list[Any]


def open_bundle_blocking(path: Path) -> Bundle:
    """Open the bundle in the file `path`. Raises BadPackage, OSError."""
    raise NotImplementedError
