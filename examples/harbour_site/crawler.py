"""From page to page of one site, without the SDK."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

_BLOCKS = {"p", "h1", "h2", "h3", "li", "br", "tr", "div", "main"}
_SILENT = {"script", "style", "title", "nav"}


@dataclass
class Page:
    url: str
    title: str = ""
    description: str = ""
    text: str = ""
    links: list[str] = field(default_factory=list)
    """Addresses, in the order of the page."""


def crawl(start: str, fetch: Callable[[str], str | None], limit: int, follow: bool = True) -> Iterator[tuple[Page, int]]:
    """
    Pages of the site of `start`, each once, at most `limit`; with each how many are known so far.

    `fetch` gives the HTML of an address, or None where there is no page. Raises ValueError when there is none at `start`.
    """
    start = urldefrag(start).url
    known = [start]
    for url in known:  # grows on the way
        html = fetch(url)
        if html is None:
            if url == start:
                raise ValueError(f"There is no page at {start}")
            continue  # a dead link is no reason to give up
        page = read(url, html)
        if follow:
            known += [link for link in dict.fromkeys(page.links) if link not in known and _site(link) == _site(start)]
            del known[limit:]
        yield page, len(known)


def read(url: str, html: str) -> Page:
    """What a page says to a reader: no markup, no scripts, no menus."""
    reader = _Reader(Page(url))
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.words).split("\n"))
    reader.page.text = "\n".join(filter(None, lines))
    reader.page.title = " ".join(reader.page.title.split())
    return reader.page


def _site(url: str) -> str:
    return urlsplit(url).netloc


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self.words: list[str] = []
        self._within: list[str] = []
        """Silent elements that have begun and not ended."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _SILENT:
            self._within.append(tag)
        elif tag in _BLOCKS:
            self.words.append("\n")
        elif tag == "meta" and given.get("name") == "description":
            self.page.description = given.get("content", "")
        if tag == "a" and (target := given.get("href")):
            link = urldefrag(urljoin(self.page.url, target)).url
            if re.match("https?:", link):
                self.page.links.append(link)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            self._within.remove(tag)
        elif tag in _BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.words.append(data)
        elif self._within[-1] == "title":
            self.page.title += data
