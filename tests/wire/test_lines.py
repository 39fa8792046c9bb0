"""Lines come out as they went in, wherever the stream was cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.wire.lines import HEAD, LineBuffer, TooLong, TooLongEnd

LINES = st.lists(st.binary(min_size=1, max_size=20).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=10)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


class LineBufferTests(SynchronousTestCase):
    @given(LINES, st.lists(st.integers(0, 500), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"]))
    def test_any_segmentation(self, lines: list[bytes], places: list[int], newline: bytes) -> None:
        """Neither the cuts nor the kind of newline nor empty lines make a difference."""
        buffer = LineBuffer(1000)
        out = [line for piece in cut(b"".join(line + newline for line in lines), places) for line in buffer.feed(piece)]
        self.assertEqual(out, [line for line in lines if line])
        self.assertEqual(buffer.end(), [])

    @given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=8))
    def test_bounded(self, data: bytes, places: list[int]) -> None:
        """Whatever is fed, less than the limit is held, and no line of the limit or more comes out."""
        buffer = LineBuffer(16)
        for piece in cut(data, places):
            for line in buffer.feed(piece):
                self.assertTrue(isinstance(line, TooLong | TooLongEnd) or len(line) < 16)
            self.assertLess(buffer.held, max(16, HEAD + 1))

    def test_last_line(self) -> None:
        """What the stream wrote last counts, also without a newline."""
        buffer = LineBuffer(100)
        self.assertEqual(buffer.feed(b"one\ntw"), [b"one"])
        self.assertEqual(buffer.feed(b"o"), [])
        self.assertEqual(buffer.end(), [b"two"])

    def test_too_long(self) -> None:
        """An over-long line is announced as soon as it is known, and its end when it comes; reading goes on after it."""
        buffer = LineBuffer(10)
        self.assertEqual(buffer.feed(b"ok\n0123456789"), [b"ok", TooLong(b"0123456789")])
        self.assertEqual(buffer.feed(b"more of it"), [])
        self.assertEqual(buffer.feed(b" and the end\nnext\n"), [TooLongEnd(b"0123456789more of it and the end"), b"next"])
        whole = b"01234567890123"
        self.assertEqual(buffer.feed(whole + b"\nlast\n"), [TooLong(whole), TooLongEnd(whole), b"last"])

    def test_ends_are_bounded(self) -> None:
        """Of an over-long line only its beginning and its end are kept."""
        line = b"a" * 3000 + b"b" * 3000
        self.assertEqual(LineBuffer(5000).feed(line + b"\n"), [TooLong(b"a" * 1024), TooLongEnd(b"b" * 1024)])
        buffer = LineBuffer(100)
        pieces = [found for n in range(0, len(line), 50) for found in buffer.feed(line[n : n + 50])]
        self.assertEqual([*pieces, *buffer.end()], [TooLong(b"a" * 100), TooLongEnd(b"b" * 1024)])
