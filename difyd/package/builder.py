"""Building a `.difypkg` from a directory: the same input gives the same bytes (package-format 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

DEFAULT_MAX_SIZE: Final = 50 * 1024 * 1024


def build_package_blocking(source: Path, target: Path, *, max_size: int = DEFAULT_MAX_SIZE) -> None:
    """
    Check the plugin in the directory `source` and write its package as the file `target`, whole or not at all.

    Raises BadPackage with the words of package-format 3.4, 9, 18.3; OSError. `max_size`: bytes of all files together.
    """
    raise NotImplementedError


def write_package_blocking(files: Mapping[str, bytes], target: Path) -> None:
    """Write these files, by path, as a package, checking nothing: for tests and tools that know what they want."""
    raise NotImplementedError
