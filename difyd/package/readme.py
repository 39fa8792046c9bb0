"""Readmes in several languages (package-format 19)."""

import re
from typing import Final

from difyd.package.errors import UnreadablePackage
from difyd.package.loader import Files

_ROOT: Final = "README.md"
_NAME: Final = re.compile(r"readme/README_([a-z]{2}_[A-Za-z]{2,7})\.md", re.ASCII)
"""Longer languages do not exist, and do not fit into the ten characters of their column."""


def readmes(files: Files) -> dict[str, str]:
    """
    The readmes of a plugin by language; `en_US` is always there, and one in the folder beats the one at the root.

    Raises UnreadablePackage `open README.md: file does not exist\\nen_US readme not found`.
    """
    try:
        found = {"en_US": _text(files, _ROOT)}
    except UnreadablePackage as why:
        raise UnreadablePackage(f"{why}\nen_US readme not found") from why
    for path in files.names():
        match = _NAME.fullmatch(path)
        if match is not None:
            found[match[1]] = _text(files, path)
    return found


def _text(files: Files, path: str) -> str:
    return files.read(path).decode("utf-8", "replace")
