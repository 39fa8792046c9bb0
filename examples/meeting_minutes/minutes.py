"""The files in the directory minutes/, without the SDK."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent / "minutes"


@dataclass(frozen=True)
class Page:
    """`minutes/<team>/<id>.md`; the name begins with the day of the meeting, the text with a heading."""

    id: str
    title: str
    parent: str | None
    """A page whose name this one continues: `2026-03-02-budget-questions` is below `2026-03-02-budget`."""

    @property
    def date(self) -> str:
        return self.id[: len("2026-01-31")]


class Minutes:
    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    def teams(self) -> dict[str, list[Page]]:
        """The pages of each team, in the order of their days."""
        return {team.name: self._pages(team) for team in sorted(self._root.iterdir()) if team.is_dir()}

    def read(self, team: str, page: str) -> str:
        """
        The text of a page.

        Raises ValueError for one that is not there. Both names come from outside: they are looked up, never made a path.
        """
        if page not in {known.id for known in self.teams().get(team, ())}:
            raise ValueError(f"there is no page {page} of {team}")
        return (self._root / team / f"{page}.md").read_text(encoding="utf-8")

    def _pages(self, team: Path) -> list[Page]:
        ids = sorted(file.stem for file in team.glob("*.md"))
        return [Page(page, _title(team / f"{page}.md"), _parent(page, ids)) for page in ids]


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").strip() or file.stem


def _parent(page: str, ids: list[str]) -> str | None:
    above = [other for other in ids if page.startswith(f"{other}-")]
    return max(above, key=len, default=None)
