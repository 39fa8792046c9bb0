"""Tests for what the example plugin does when the SDK is left out."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

SOURCE = Path(__file__).parent.parent / "examples" / "text_toolbox" / "words.py"


class Words(SynchronousTestCase):
    """examples/text_toolbox/words.py, which is no module of ours: a plugin's code runs in an environment of its own."""

    def setUp(self) -> None:
        spec = spec_from_file_location("words", SOURCE)
        self.words = module_from_spec(spec)
        spec.loader.exec_module(self.words)

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
