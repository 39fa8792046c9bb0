"""Pages for people are held to the code that they speak of."""

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
NAME = re.compile(r"`((?:web|catalog|invoke|callback|runtime|store|package|wire|settings|telemetry|service|lifecycle)\.[\w.]+)`")


class Pages(SynchronousTestCase):
    """README.md, docs/ and the READMEs of the examples."""

    def test_links(self) -> None:
        """Every link inside the repository leads somewhere."""
        for page in PAGES:
            for target in LINK.findall(page.read_text(encoding="utf-8")):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_names_in_the_architecture(self) -> None:
        """Whoever follows a call through docs/architecture.md finds every module, class and function under the name given there."""
        page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
        names = set(NAME.findall(page))
        self.assertGreater(len(names), 20)
        for name in names:
            self.assertTrue(exists(f"difyd.{name}"), name)

    def test_change_fragments(self) -> None:
        """A fragment in docs/changes is named by its topic and kind and holds one sentence."""
        for fragment in (ROOT / "docs" / "changes").iterdir():
            if fragment.name != "README.md":
                self.assertRegex(fragment.name, r"^[a-z0-9-]+\.(feature|bugfix|removal|doc)$")
                self.assertRegex(fragment.read_text(encoding="utf-8"), r"^\S[^\n]*\.\n$", fragment.name)


def exists(name: str) -> bool:
    """Is this a module, or a member of one, or of a class in one?"""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
