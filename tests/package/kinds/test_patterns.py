"""Shell patterns as model providers use them."""

import contextlib
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.package.kinds.patterns import BadPattern, compiled

CASES = {
    "m/*.yaml": ("m/a.yaml m/.yaml", "m/sub/a.yaml m/a.yml xm/a.yaml"),
    "m/?.yaml": ("m/a.yaml", "m/.yaml m/ab.yaml m//.yaml"),
    "**": ("a", "a/b"),
    "a*b*c": ("abc aXbXc abbcc", "ab a/bc acb"),
    "*a*/b": ("xa/b aa/b", "xa/a/b b"),
    "[a-c]": ("a b c", "d - [a-c]"),
    "[^a-c]": ("d ^", "a b"),
    "[!a]": ("! a", "b"),
    "\\*\\[": ("*[", "ab"),
    "[\\]]": ("]", "\\"),
    "[b-a]": ("", "a b"),
    "[^b-a]": ("a b", ""),
    "{a,b}": ("{a,b}", "a b"),
    "a.b": ("a.b", "aXb"),
    "": ("", "a"),
}


class PatternTests(SynchronousTestCase):
    def test_matches(self) -> None:
        """Whole paths; stars stay in their folder, brackets are sets, a backslash escapes."""
        for pattern, (yes, no) in CASES.items():
            for path in yes.split():
                self.assertTrue(compiled(pattern).fullmatch(path), (pattern, path))
            for path in no.split():
                self.assertFalse(compiled(pattern).fullmatch(path), (pattern, path))

    def test_broken(self) -> None:
        """A set that is empty or not closed, a range without an end, a backslash without anything."""
        for pattern in ("[", "[]a]", "[a-]", "[-a]", "[^]", "[a", "a\\", "[\\", "[a-\\"):
            self.assertRaises(BadPattern, compiled, pattern)

    @settings(deadline=None)
    @given(st.text("ab*?[]^-\\/.", max_size=8), st.text("ab/.", max_size=8))
    def test_any_pattern(self, pattern: str, path: str) -> None:
        """Every text is a pattern or a broken one; a literal matches itself."""
        with contextlib.suppress(BadPattern):
            compiled(pattern).fullmatch(path)
        self.assertTrue(compiled(re.sub(r"[*?\[\\]", r"\\\g<0>", pattern)).fullmatch(pattern))

    def test_many_stars(self) -> None:
        """No pattern takes for ever."""
        self.assertFalse(compiled("*a" * 40 + "b").fullmatch("a" * 2000))
