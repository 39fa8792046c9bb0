"""Frames come out as they went in, wherever the stream was cut."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.wire.frames import HEADER, HEADER_LENGTH, MAGIC, Broken, Frame, FrameBuffer
from tests.wire.test_lines import cut

PLACES = st.lists(st.integers(0, 500), max_size=8)


def frame(data: bytes) -> bytes:
    return HEADER.pack(MAGIC, HEADER_LENGTH, len(data)) + data


def read(buffer: FrameBuffer, data: bytes, places: list[int] | None = None) -> list[Frame]:
    """All that comes out of a stream that is over."""
    return [found for piece in cut(data, places or []) for found in buffer.feed(piece)] + buffer.end()


class BinaryTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40), max_size=10), PLACES)
    def test_any_segmentation(self, frames: list[bytes], places: list[int]) -> None:
        """The cuts make no difference, and nothing is left."""
        buffer = FrameBuffer(40)
        self.assertEqual(read(buffer, b"".join(map(frame, frames)), places), frames)
        self.assertEqual(buffer.held, 0)

    @settings(deadline=None)
    @given(st.binary(max_size=200), PLACES, st.booleans())
    def test_anything(self, data: bytes, places: list[int], framed: bool) -> None:
        """Whatever comes, not more than one frame is held, no longer one comes out, and nothing after what is broken."""
        buffer = FrameBuffer(16)
        found: list[Frame] = []
        for piece in cut(frame(b"first") + data if framed else data, places):
            found += buffer.feed(piece)
            self.assertLessEqual(buffer.held, 16 + HEADER.size)
        found += buffer.end()
        self.assertTrue(all(isinstance(one, Broken) or len(one) <= 16 for one in found))
        self.assertFalse([one for one in found[:-1] if isinstance(one, Broken)])
        if found and isinstance(found[-1], Broken):
            self.assertEqual(buffer.feed(frame(b"more")), [])

    def test_layout(self) -> None:
        """The header is that of the chapter's example."""
        self.assertEqual(frame(b"x" * 25)[:14], bytes.fromhex("0f000a0019000000000000000000"))

    def test_reserved_bytes(self) -> None:
        """The reserved bytes of a header may be anything."""
        self.assertEqual(read(FrameBuffer(10), b"\x0f\x07\x0a\x00\x02\x00\x00\x00\x01\x02\x03\x04\x05\x06{}"), [b"{}"])

    def test_violations(self) -> None:
        """What precedes a violation comes out; the violation is told as soon as its bytes are there."""
        whole = frame(b"{}")
        for broken, reason in (
            (b"\x0e" + whole[1:], "magic number mismatch: 14"),
            (b"\x0e" + whole[1:4], "magic number mismatch: 14"),
            (whole[:2] + b"\x0b\x00" + whole[4:], "header length mismatch: 11"),
            (whole[:2] + b"\x0b\x01", "header length mismatch: 267"),
            (HEADER.pack(MAGIC, HEADER_LENGTH, 31), "data length is too long: 31"),
            (HEADER.pack(MAGIC, HEADER_LENGTH, 2**32 - 1), "data length is too long: 4294967295"),
        ):
            buffer = FrameBuffer(30)
            self.assertEqual(buffer.feed(whole + broken), [b"{}", Broken(reason)])
            self.assertEqual((buffer.feed(whole), buffer.end(), buffer.held), ([], [], 0))

    def test_limit(self) -> None:
        """A frame of exactly the limit passes."""
        self.assertEqual(read(FrameBuffer(30), frame(b"x" * 30)), [b"x" * 30])

    def test_cut(self) -> None:
        """A stream that ends inside of a frame is broken, and the text tells where."""
        whole = frame(b"{}")
        for length, part in ((3, "system header"), (4, "header"), (13, "header"), (14, "data"), (15, "data")):
            self.assertEqual(read(FrameBuffer(30), whole + whole[:length]), [b"{}", Broken(f"failed to read {part}")])

    def test_empty(self) -> None:
        """A stream without frames is none that is broken."""
        self.assertEqual(read(FrameBuffer(30), b""), [])


class TextTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(PLACES, st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.sampled_from([b"", b"data:", b"data: "]), st.booleans())
    def test_older_servers(self, places: list[int], newline: bytes, prefix: bytes, pings: bool) -> None:
        """Objects on lines, also as events, with pings between them, wherever the stream was cut; the last newline may be missing."""
        frames = [b'{"data":1}', b'{"data":{}}', b"{ }"]
        stream = (newline + (b"event: ping" + newline + b": a comment" + newline if pings else b"")).join(prefix + one for one in frames)
        self.assertEqual(read(FrameBuffer(30), stream, places), frames)

    def test_too_long(self) -> None:
        """The limit holds here, too."""
        self.assertEqual(read(FrameBuffer(4), b"{12}\n{123}\n{}\n"), [b"{12}", Broken("data length is too long: more than 4")])

    def test_neither(self) -> None:
        """A page of HTML is neither of the two."""
        self.assertEqual(read(FrameBuffer(99), b"<html></html>"), [Broken("magic number mismatch: 60")])
