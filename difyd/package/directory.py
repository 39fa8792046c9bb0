"""A plugin in a directory, seen as the package that it will become (package-format 3)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import define, field

from difyd.package.archive import clean
from difyd.package.errors import UnpackablePlugin, UnreadablePackage
from difyd.package.ignore import IgnoreRules

_BLOCK: Final = 256 * 1024


@define(eq=False)
class PluginDirectory:
    """
    The files below a directory; provides `Files`.

    Those that ignore rules leave out are not in the package, but can still be read: declarations and icons may lie among them.
    """

    root: Path
    _rules: IgnoreRules
    _sizes: dict[str, int] | None = field(default=None, init=False, repr=False)
    _added: dict[str, bytes] = field(factory=dict, init=False, repr=False)

    @classmethod
    def open_blocking(cls, root: Path) -> "PluginDirectory":
        """Raises UnreadablePackage `not a directory`, OSError."""
        if not root.is_dir():
            raise UnreadablePackage("not a directory")
        return cls(root, IgnoreRules.of_blocking(root))

    def sizes(self) -> dict[str, int]:
        """Bytes of the files that go into the package, by path, the paths sorted by their bytes. Raises UnpackablePlugin, OSError."""
        if self._sizes is None:
            self._sizes = _sorted(dict(_walk(self.root, "", self._rules)))
        return self._sizes

    def add(self, path: str, content: bytes) -> None:
        """Put a file into the package that is not in the directory."""
        self._added[path] = content
        self._sizes = _sorted({**self.sizes(), path: len(content)})

    def names(self) -> list[str]:
        return list(self.sizes())

    def read(self, path: str) -> bytes:
        return b"".join(self.stream(path))

    def stream(self, path: str) -> Iterator[bytes]:
        """The content of a file in pieces. Raises UnreadablePackage."""
        if path in self._added:
            yield self._added[path]
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


def _sorted(sizes: dict[str, int]) -> dict[str, int]:
    return dict(sorted(sizes.items(), key=lambda item: os.fsencode(item[0])))


def _walk(folder: Path, prefix: str, rules: IgnoreRules) -> Iterator[tuple[str, int]]:
    """Paths and sizes of what is to be packed. A link to a file counts as that file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.leaves_out(path, folder=is_folder):
                continue
            if is_folder:
                yield from _walk(Path(entry.path), path + "/", rules)
                continue
            try:
                status = entry.stat()
            except FileNotFoundError as why:  # a link to nothing
                raise UnpackablePlugin(f"open {path}: file does not exist") from why
            if not stat.S_ISREG(status.st_mode):
                raise UnpackablePlugin(f"read {path}: is {'a directory' if stat.S_ISDIR(status.st_mode) else 'no file'}")
            yield path, status.st_size
