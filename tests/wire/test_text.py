"""JSON from outside becomes part of a line that others trust."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.wire.text import clean, mend_surrogates, one_line, utf8

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


class TextTests(SynchronousTestCase):
    @given(VALUES, st.sampled_from([None, 1, "\t", "\r\n"]), st.booleans())
    def test_any_json(self, value: object, indent: str | int | None, ascii_only: bool) -> None:
        """A value survives, and stands on one line for every reader: also one that breaks at U+0085, U+2028 and U+2029."""
        text = clean(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
        self.assertEqual(json.loads(text), value)
        self.assertLessEqual(len(text.decode().splitlines()), 1)

    @given(st.binary(max_size=100))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever comes in, what comes out is valid UTF-8 on one line."""
        text = clean(data)
        text.decode()
        self.assertFalse(set(text) & set(b"\r\n"))

    def test_healthy_text_is_untouched(self) -> None:
        """The common case costs no copy."""
        for text in (b'{"a":"b"}', '{"a":"grün"}'.encode()):
            self.assertIs(clean(text), text)
            self.assertIs(utf8(text), text)
            self.assertIs(one_line(text), text)

    @given(st.text(alphabet=st.characters(), max_size=20))
    def test_surrogates(self, text: str) -> None:
        """Pairs stay, halves become U+FFFD, and an escaped backslash before a `u` is no escape."""
        mended = json.loads(mend_surrogates(json.dumps(text).encode()))
        self.assertEqual(mended, text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    def test_escaped_backslash(self) -> None:
        """A backslash that stands for itself begins no escape."""
        self.assertEqual(mend_surrogates(rb'"\\ud800 \ud800"'), rb'"\\ud800 \ufffd"')
