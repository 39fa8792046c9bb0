"""The files in the directory handbook/, without the SDK."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent / "handbook"


@dataclass(frozen=True)
class Entry:
    path: str
    """Below the shelf, with a slash at the end if it is a folder."""
    size: int
    """Bytes; 0 for a folder."""

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]


class Handbook:
    def __init__(self, root: Path = ROOT) -> None:
        self._root = root.resolve()

    def shelves(self) -> list[str]:
        return sorted(place.name for place in self._root.iterdir() if place.is_dir())

    def entries(self, shelf: str, folder: str, most: int, after: str = "") -> tuple[list[Entry], bool]:
        """At most `most` entries of a folder, in order, behind the path `after`; and whether there are more."""
        base, place = self._find(shelf), self._find(shelf, folder)
        paths = sorted(f"{inner.relative_to(base).as_posix()}{'/' if inner.is_dir() else ''}" for inner in place.iterdir())
        found = [Entry(path, 0 if path.endswith("/") else (base / path).stat().st_size) for path in paths if path > after]
        return found[:most], len(found) > most

    def read(self, shelf: str, path: str) -> bytes:
        return self._find(shelf, path).read_bytes()

    def _find(self, shelf: str, path: str = "") -> Path:
        """
        Raises ValueError for a place that is not there.

        Paths come from outside, so they are followed to their end before anything is opened: `../../.ssh` leads out of the handbook.
        """
        base = self._root / shelf
        place = (base / path).resolve()
        if shelf not in self.shelves() or not place.is_relative_to(base) or not place.exists():
            raise ValueError(f"there is no {shelf}/{path}")
        return place
