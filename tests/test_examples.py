"""Tests for the example plugins as packages, and for what they do when the SDK is left out."""

from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.package.archive import Archive
from difyd.package.builder import build_package_blocking

EXAMPLES = Path(__file__).parent.parent / "examples"


def part_of(example: str, name: str) -> ModuleType:
    """A module of an example, which is no module of ours: a plugin's code runs in an environment of its own."""
    spec = spec_from_file_location(name, EXAMPLES / example / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Packages(SynchronousTestCase):
    def test_built(self) -> None:
        """There is one of every kind, and of every type of data source; their packages are complete, and hold nothing else."""
        found = sorted(manifest.parent.name for manifest in EXAMPLES.glob("*/manifest.yaml"))
        self.assertEqual(found, [
            "app_hook", "build_notices", "handbook_drive", "harbour_site", "meeting_minutes", "offline_models", "reading_notes",
            "text_toolbox", "tool_agent",
        ])  # fmt: skip
        with TemporaryDirectory() as directory:
            package = Path(directory) / "example.difypkg"
            for example in found:
                self.assertEqual(build_package_blocking(EXAMPLES / example, package), [], example)
                with Archive.open_blocking(package) as archive:
                    names = set(archive.names())
                self.assertLessEqual({"README.md", "PRIVACY.md", "_assets/icon.svg", "requirements.txt", "main.py"}, names, example)
                self.assertEqual([name for name in names if "__pycache__" in name or name.startswith(".")], [], example)

    def test_listed(self) -> None:
        """examples/README.md names every one of them."""
        page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
        for manifest in EXAMPLES.glob("*/manifest.yaml"):
            self.assertIn(f"[{manifest.parent.name}]({manifest.parent.name})", page)

    def test_icons(self) -> None:
        """Icons are well-formed drawings, each example's its own."""
        icons = [path.read_text() for path in EXAMPLES.glob("*/_assets/*.svg")]
        self.assertEqual(len(set(icons)), len(icons))
        for icon in icons:
            self.assertEqual(ElementTree.fromstring(icon).tag, "{http://www.w3.org/2000/svg}svg")


class Words(SynchronousTestCase):
    """examples/text_toolbox/words.py."""

    def setUp(self) -> None:
        self.words = part_of("text_toolbox", "words")

    def test_describe(self) -> None:
        """Sentences, words and letters are counted, singular and plural; apostrophes and hyphens stay inside of words."""
        self.assertEqual(
            self.words.describe("Don't wait. Well-known words, well-known!"),
            "The text has 2 sentences, 5 words and 31 letters. Its longest word is “Well-known”. “well-known” comes up 2 times.",
        )
        self.assertEqual(self.words.describe("Ja"), "The text has 1 sentence, 1 word and 2 letters. Its longest word is “Ja”.")
        self.assertEqual(self.words.describe(" 12 !"), "There are no words in this text.")

    def test_rows(self) -> None:
        """A column becomes numbers only if all of it is numbers that would be written the same way again."""
        self.assertEqual(
            self.words.rows("name;n;x;code\nA;1;1.5;007\nB;-2;2;8", ";"),
            [{"name": "A", "n": 1, "x": 1.5, "code": "007"}, {"name": "B", "n": -2, "x": 2.0, "code": "8"}],
        )
        self.assertEqual(self.words.rows("only,names"), [])

    def test_bad_tables(self) -> None:
        """A table that is none is answered by a sentence for a person."""
        self.assertEqual(str(self.assertRaises(ValueError, self.words.rows, " ")), "The table is empty.")
        self.assertEqual(str(self.assertRaises(ValueError, self.words.rows, "a,b\n1")), "Line 2 of the table has 1 column, the first has 2.")

    def test_chart(self) -> None:
        """The drawing is well-formed whatever the text holds, and has as many bars as were asked for."""
        drawing = ElementTree.fromstring(self.words.chart("one two two <three> three & three", bars=2))
        self.assertEqual(len(drawing.findall("{*}rect")), 2)


class Texts(SynchronousTestCase):
    """examples/offline_models/texts.py."""

    def setUp(self) -> None:
        self.texts = part_of("offline_models", "texts")

    def test_quote(self) -> None:
        """The sentence with most words of the question is quoted, the first of those that are as good; without any word, none is."""
        sources = ["The cat sleeps. The dog, a big one, barks!", "Cats and dogs are friends\nDoes the dog bark?"]
        self.assertEqual(self.texts.quote("What does the dog do?", sources), "Does the dog bark?")
        self.assertEqual(self.texts.quote("the", sources), "The cat sleeps.")
        self.assertEqual(self.texts.quote("friends", sources), "Cats and dogs are friends")
        for nothing in ("birds", "", "!"):
            self.assertEqual(self.texts.quote(nothing, sources), "Nothing was said about that.")
        self.assertEqual(self.texts.quote("anything", []), "Nothing was said about that.")

    def test_cut(self) -> None:
        """The earliest of the stop words counts, whatever marks it holds."""
        self.assertEqual(self.texts.cut("one (two) three", ["three", "(two)"]), "one ")
        self.assertEqual(self.texts.cut("one", []), "one")

    @given(st.text())
    def test_tokens(self, text: str) -> None:
        """Tokens put together are the text, up to the blanks at its end."""
        self.assertEqual("".join(self.texts.tokens(text)), text.rstrip())

    @given(st.text(alphabet="ab ,"), st.text(alphabet="ab ,"))
    def test_vectors(self, one: str, other: str) -> None:
        """Vectors have the length 1, or 0 without words; the order of words makes no difference."""
        vector = self.texts.vector(f"{one} {other}")
        self.assertEqual(vector, self.texts.vector(f"{other} {one}"))
        length = sum(number * number for number in vector)
        self.assertTrue(isclose(length, 1) or not any(vector))


class Morse(SynchronousTestCase):
    """examples/offline_models/morse.py."""

    def setUp(self) -> None:
        self.morse = part_of("offline_models", "morse")

    @given(st.lists(st.text(alphabet="ABCXYZ0189.,?", min_size=1, max_size=3), max_size=3), st.sampled_from([400, 800]))
    def test_round_trip(self, words: list[str], pitch: int) -> None:
        """What was recorded is heard again, in either voice."""
        self.assertEqual(self.morse.listen(BytesIO(self.morse.record(" ".join(words), pitch))), " ".join(words))

    def test_no_recording(self) -> None:
        """Anything else is refused with a sentence."""
        self.assertIn("This is no WAV file", str(self.assertRaises(ValueError, self.morse.listen, BytesIO(b"RIFF"))))


class Drive(SynchronousTestCase):
    """examples/handbook_drive/handbook.py."""

    def setUp(self) -> None:
        module = part_of("handbook_drive", "handbook")
        self.directory = Path(self.mktemp())
        (self.directory / "shelf" / "folder").mkdir(parents=True)
        (self.directory / "shelf" / "page.md").write_text("page")
        (self.directory / "secret.md").write_text("secret")
        self.handbook = module.Handbook(self.directory)

    def test_entries(self) -> None:
        """Folders have a slash at the end of their path, not of their name."""
        entries, more = self.handbook.entries("shelf", "", 5)
        self.assertEqual([(entry.path, entry.name, entry.size) for entry in entries], [("folder/", "folder", 0), ("page.md", "page.md", 4)])
        self.assertFalse(more)

    def test_outside(self) -> None:
        """Nothing outside of a shelf is found, by whatever path."""
        (self.directory / "shelf" / "link.md").symlink_to(self.directory / "secret.md")
        for shelf, path in (("shelf", "../secret.md"), ("shelf", "/etc/passwd"), ("shelf", "link.md"), ("..", "x"), (".", "secret.md"),
                            ("", "secret.md"), ("shelf", "missing.md")):  # fmt: skip
            self.assertRaises(ValueError, self.handbook.read, shelf, path)
        self.assertEqual(self.handbook.read("shelf", "page.md"), b"page")


class Site(SynchronousTestCase):
    """examples/harbour_site/crawler.py and site_files.py."""

    def crawl(self, pages: dict[str, str], limit: int = 10, **options: Any) -> list[tuple[str, int]]:
        crawler = part_of("harbour_site", "crawler")
        return [(page.url, known) for page, known in crawler.crawl("http://a/", pages.get, limit, **options)]

    def test_links(self) -> None:
        """Each page of the site once, in the order in which they were found; other sites, other schemes and dead links are left out."""
        pages = {
            "http://a/": "<a href=b>b</a><a href='b#part'>b</a><a href=dead>d</a><a href='//c/'>c</a><a href='mailto:x@a'>m</a><a>none</a>",
            "http://a/b": "<a href=/>back</a><a href=e/f>f</a>",
            "http://a/e/f": "<a href=../b>b</a>",
            "http://c/": "",
        }
        self.assertEqual(self.crawl(pages), [("http://a/", 3), ("http://a/b", 4), ("http://a/e/f", 4)])
        self.assertEqual(self.crawl(pages, 2), [("http://a/", 2), ("http://a/b", 2)])
        self.assertEqual(self.crawl(pages, follow=False), [("http://a/", 1)])
        self.assertRaises(ValueError, self.crawl, {})

    def test_text(self) -> None:
        """What a reader sees: words, lines and entities; no scripts, no menus, no markup, however badly it is closed."""
        html = "<title> A\n b</title><script>if (a<b) {}</script><nav>menu</nav><h1>One</h1><p>two <b>three</b> &amp;<br>four<li>five"
        page = part_of("harbour_site", "crawler").read("http://a/", html)
        self.assertEqual((page.title, page.text), ("A b", "One\ntwo three &\nfour\nfive"))

    def test_files(self) -> None:
        """Only files of the site are pages, by whatever address."""
        fetch = part_of("harbour_site", "site_files").fetch
        self.assertIn("Welcome", fetch("https://harbour.example"))
        for address in ("https://harbour.example/../main.py", "https://harbour.example/%2e%2e/main.py", "https://other.example/", "file:///etc/passwd",
                        "https://harbour.example//etc/passwd", "https://harbour.example/none.html"):  # fmt: skip
            self.assertIsNone(fetch(address), address)


class Documents(SynchronousTestCase):
    """examples/meeting_minutes/minutes.py."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        (self.root / "team").mkdir(parents=True)
        (self.root / "team" / "2026-01-31-a.md").write_text("# First\nwords")
        (self.root / "team" / "2026-01-31-a-b.md").write_text("")
        (self.root / "secret.md").write_text("secret")
        self.minutes = part_of("meeting_minutes", "minutes").Minutes(self.root)

    def test_pages(self) -> None:
        """A page has the title of its heading, or its name, the day of its name and the page whose name it continues."""
        pages = [(page.id, page.title, page.date, page.parent) for page in self.minutes.teams()["team"]]
        self.assertEqual(pages, [("2026-01-31-a", "First", "2026-01-31", None),
                                 ("2026-01-31-a-b", "2026-01-31-a-b", "2026-01-31", "2026-01-31-a")])  # fmt: skip

    def test_outside(self) -> None:
        """Only pages that are listed can be read."""
        self.assertEqual(self.minutes.read("team", "2026-01-31-a"), "# First\nwords")
        for team, page in (("team", "../secret"), ("..", "secret"), (".", "secret"), ("team", ""), ("none", "a")):
            self.assertRaises(ValueError, self.minutes.read, team, page)


class Signatures(SynchronousTestCase):
    """examples/app_hook/signing.py and examples/build_notices/notices.py."""

    def test_signed(self) -> None:
        """Only the same bytes and the same secret make the signature, which is one that other programs make, too."""
        for module in (part_of("app_hook", "signing"), part_of("build_notices", "notices")):
            signature = "sha256=734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a"
            self.assertEqual(module.sign(b"hello world", "secret"), signature)
            self.assertTrue(module.is_signed(b"hello world", signature, "secret"))
            for body, said, secret in ((b"hello", signature, "secret"), (b"hello world", signature, "public"), (b"hello world", "ü", "secret")):
                self.assertFalse(module.is_signed(body, said, secret))

    def test_notices(self) -> None:
        """A notice is a JSON object."""
        notices = part_of("build_notices", "notices")
        self.assertEqual(notices.decode(b'{"notice": "ping"}'), {"notice": "ping"})
        for body in (b"", b"[]", b"\xff", b"null"):
            self.assertRaises(ValueError, notices.decode, body)
