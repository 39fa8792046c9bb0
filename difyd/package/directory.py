"""A plugin in a directory, seen as the package that it will become (package-format 3)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import define, field

from difyd.package.archive import clean
from difyd.package.errors import UnreadablePackage
from difyd.package.ignore import IgnoreRules

_BLOCK: Final = 256 * 1024


@define(eq=False)
class PluginDirectory:
    """
    The files below a directory; provides `Files`.

    Those that ignore rules leave out are not in the package, but can still be read: declarations and icons may lie among them.
    """

    root: Path
    sizes: dict[str, int] = field(repr=False)
    """Bytes of the files that go into the package, by path, the paths sorted by their bytes."""
    added: dict[str, bytes] = field(factory=dict, repr=False)
    """Files of the package that are not in the directory."""

    @classmethod
    def open_blocking(cls, root: Path) -> "PluginDirectory":
        """Raises UnreadablePackage `not a directory`, or for what cannot be packed; OSError."""
        if not root.is_dir():
            raise UnreadablePackage("not a directory")
        found = dict(_walk(root, "", IgnoreRules.of_blocking(root)))
        return cls(root, {path: found[path] for path in sorted(found, key=os.fsencode)})

    def add(self, path: str, content: bytes) -> None:
        """Put a file into the package that is not in the directory."""
        self.added[path] = content
        self.sizes = dict(sorted({**self.sizes, path: len(content)}.items(), key=lambda item: os.fsencode(item[0])))

    def names(self) -> list[str]:
        return list(self.sizes)

    def read(self, path: str) -> bytes:
        return b"".join(self.stream(path))

    def stream(self, path: str) -> Iterator[bytes]:
        """The content of a file in pieces. Raises UnreadablePackage."""
        if path in self.added:
            yield self.added[path]
            return
        if path != clean(path) or path.startswith(("/", "../")) or path in ("", "..") or "\0" in path:
            raise UnreadablePackage(f"open {path}: invalid argument")
        try:
            with open(self.root / path, "rb") as file:
                while piece := file.read(_BLOCK):
                    yield piece
        except (FileNotFoundError, NotADirectoryError) as why:
            raise UnreadablePackage(f"open {path}: file does not exist") from why
        except IsADirectoryError as why:
            raise UnreadablePackage(f"read {path}: is a directory") from why


def _walk(folder: Path, prefix: str, rules: IgnoreRules) -> Iterator[tuple[str, int]]:
    """Paths and sizes of what is to be packed. A link to a file counts as that file."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
            path = prefix + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.leaves_out(path, folder=is_folder):
                continue
            if is_folder:
                yield from _walk(Path(entry.path), path + "/", rules)
                continue
            status = entry.stat()
            if not stat.S_ISREG(status.st_mode):
                raise UnreadablePackage(f"read {path}: is {'a directory' if stat.S_ISDIR(status.st_mode) else 'no file'}")
            yield path, status.st_size
