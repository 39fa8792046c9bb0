"""Which files of a directory stay out of a package (package-format 3.1)."""

from pathlib import Path
from typing import Final

from attrs import frozen
from pathspec import GitIgnoreSpec

_FILES: Final = (".difyignore", ".gitignore")
_NEVER: Final = (".git", ".venv", "__pycache__/", ".env", ".env.*", "!.env.example")
"""Secrets, version control and environments. They come first, so that an ignore file can bring one back by a `!`."""


@frozen
class IgnoreRules:
    """
    The patterns of one directory, as git reads them.

    In the reference `!` has no effect and nothing is left out by itself; ours does what authors mean by it (cli 20).
    """

    _spec: GitIgnoreSpec

    @classmethod
    def of_blocking(cls, root: Path) -> "IgnoreRules":
        """Those of the directory's `.difyignore`, or of its `.gitignore` when there is none. Raises OSError."""
        lines: list[str] = []
        for name in _FILES:
            try:
                lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
            except (FileNotFoundError, IsADirectoryError):
                continue
            break
        patterns = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        return cls(GitIgnoreSpec.from_lines([*_NEVER, *patterns]))

    def leaves_out(self, path: str, *, folder: bool) -> bool:
        """Is the file or the folder at `path` (relative, `/` between steps) to stay out?"""
        return self._spec.match_file(path + "/" if folder else path)
