"""Where the pages come from: the directory site/ plays https://harbour.example/. A crawler of your own would ask the network here."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

HOST = "harbour.example"
ROOT = (Path(__file__).parent / "site").resolve()


def fetch(url: str) -> str | None:
    """The HTML at an address; None where there is no page, which is also everywhere else on the web."""
    parts = urlsplit(url)
    if parts.hostname != HOST:
        return None
    place = (ROOT / unquote(parts.path).lstrip("/")).resolve()
    if place.is_dir():
        place /= "index.html"
    # Addresses come from people: `/../main.py` is a file, but no page.
    if not place.is_relative_to(ROOT) or not place.is_file():
        return None
    return place.read_text(encoding="utf-8")
