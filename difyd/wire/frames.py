"""
Streaming answers of the inner API, cut into frames (backwards-invocation 6.3, dify-client 10.2, 12).

    0f 00 0a 00 19 00 00 00 00 00 00 00 00 00 {"data":null,"error":"x"}      a frame: a header of 14 bytes, then its JSON

Servers older than this framing write text: a JSON object on a line, also after `data:`, between empty lines and `event: ping`. Which of the
two a stream is, its first byte tells.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from attrs import define, field, frozen

from difyd.wire.lines import Line, LineBuffer

MAGIC: Final = 0x0F
HEADER: Final = Struct("<BxHI6x")
"""Magic, header length, data length, little-endian; the reserved bytes between and behind them mean nothing."""
HEADER_LENGTH: Final = 10
"""What a header says of its own length: it counts the bytes behind the first four."""
SYSTEM_HEADER: Final = Struct("<BxH")
"""Those first four."""

_TEXT: Final = frozenset(b" \t\r\n:{dei")
"""How a stream of text may begin: blank, a comment, an object, `data:`, `event:`, `id:`."""
_FIELDS: Final = (b":", b"event:", b"id:", b"retry:")
"""Lines of an event stream that carry no object."""


@frozen
class Broken:
    """Stands where the framing was violated, with the text of the wire; nothing comes after it."""

    reason: str


Frame = bytes | Broken
"""The JSON of one frame, not looked into."""


@define(eq=False)
class FrameBuffer:
    """
    Bytes in, frames out, wherever the stream was cut, at a cost that is linear in the bytes.

    Between two calls it holds at most one unfinished frame, of at most `limit` bytes of JSON; a longer one is refused by its header, before
    it is taken in.
    """

    limit: int
    _held: bytearray = field(factory=bytearray, init=False)
    _wanted: int = field(default=SYSTEM_HEADER.size, init=False)
    """Bytes that must be held before they are worth another look."""
    _begun: bool = field(default=False, init=False)
    _broken: bool = field(default=False, init=False)
    _lines: LineBuffer | None = field(default=None, init=False)
    """Of a stream of text."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        if self._broken:
            return []
        if not self._begun and data:
            self._begun = True
            if data[0] in _TEXT:
                self._lines = LineBuffer(self.limit + 1)
        if self._lines is not None:
            return self._objects(self._lines.feed(data))
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data, self._held = bytes(self._held), bytearray()
        return self._cut(data)

    def end(self) -> list[Frame]:
        """The stream is over. What is left of it is broken, except for text, whose last line needs no newline."""
        if self._broken:
            return []
        if self._lines is not None:
            return self._objects(self._lines.end())
        if not self._held:
            return []
        held = len(self._held)
        part = "system header" if held < SYSTEM_HEADER.size else "header" if held < HEADER.size else "data"
        return [self._break(f"failed to read {part}")]

    @property
    def held(self) -> int:
        """Bytes of the unfinished frame."""
        return len(self._held) if self._lines is None else self._lines.held

    def _cut(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        at, size, self._wanted = 0, len(data), SYSTEM_HEADER.size
        while size - at >= HEADER.size:
            magic, header, length = HEADER.unpack_from(data, at)
            if magic != MAGIC or header != HEADER_LENGTH or length > self.limit:
                return [*frames, self._refuse(magic, header, length)]
            start = at + HEADER.size
            if start + length > size:
                self._wanted = HEADER.size + length
                break
            at = start + length
            frames.append(data[start:at])
        else:
            if size - at >= SYSTEM_HEADER.size:
                magic, header = SYSTEM_HEADER.unpack_from(data, at)
                if magic != MAGIC or header != HEADER_LENGTH:
                    return [*frames, self._refuse(magic, header, 0)]
                self._wanted = HEADER.size
        self._held += data[at:]
        return frames

    def _refuse(self, magic: int, header: int, length: int) -> Broken:
        if magic != MAGIC:
            return self._break(f"magic number mismatch: {magic}")
        if header != HEADER_LENGTH:
            return self._break(f"header length mismatch: {header}")
        return self._break(f"data length is too long: {length}")

    def _objects(self, lines: Sequence[Line]) -> list[Frame]:
        frames: list[Frame] = []
        for line in lines:
            if not isinstance(line, bytes):
                return [*frames, self._break(f"data length is too long: more than {self.limit}")]
            text = line.strip()
            if text and not text.startswith(_FIELDS):
                frames.append(text.removeprefix(b"data:").lstrip())
        return frames

    def _break(self, reason: str) -> Broken:
        self._broken, self._held, self._lines = True, bytearray(), None
        return Broken(reason)
