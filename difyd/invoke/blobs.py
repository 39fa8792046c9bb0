"""
Files that a plugin sends in pieces, put together again (backwards-invocation 12.3, dify-client 9).

Dify merges the pieces of a tool itself; those of agents and datasources it does not, so the daemon does. Pieces of several files may
interleave. What has ended is freed at once, and nothing is allocated because a plugin announces it.
"""

from base64 import b64decode, b64encode
from typing import Final

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from difyd.errors import PluginInvokeError
from difyd.invoke.chunks import message
from difyd.invoke.fields import NULL

PIECE_LIMIT: Final = 8192
"""Bytes of one decoded piece: what the SDK cuts, and the most that Dify takes."""
OPEN_LIMIT: Final = 64
"""Files that one call may have begun and not ended."""
HELD_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of all of them together."""

_MARK: Final = b"blob_chunk"


class _Piece(Struct, frozen=True):
    id: str
    total_length: float
    blob: str
    end: bool


class _Chunk(Struct, frozen=True):
    type: str
    message: Raw = NULL
    meta: Raw = NULL


_chunk = msgspec.json.Decoder(_Chunk)
_piece = msgspec.json.Decoder(_Piece)


class BadBlob(PluginInvokeError):
    """The pieces of a file cannot be put together; the texts are the wire's."""

    def __init__(self, reason: str) -> None:
        super().__init__("PluginDaemonInnerError", reason, {})


@define(eq=False)
class BlobAssembler:
    """The files of one call. Once more than `limit` bytes of one are held, no further piece of it is taken."""

    limit: int
    _files: dict[str, bytearray] = field(factory=dict, init=False)
    _size: int = field(default=0, init=False)

    def chunk(self, raw: Raw) -> Raw | None:
        """
        The chunk to send: a message as it is, a whole file for its last piece, None for the others.

        Raises MalformedChunk, or BadBlob for pieces that break a limit or are no base64. A piece without id, length, blob or end is dropped.
        """
        checked = message(raw)
        if _MARK not in bytes(raw):
            return checked
        found = _chunk.decode(checked)
        if found.type != "blob_chunk":
            return checked
        try:
            piece = _piece.decode(found.message)
        except msgspec.DecodeError:
            return None
        whole = self._add(piece)
        if whole is None:
            return None
        return Raw(b'{"type":"blob","message":{"blob":"%b"},"meta":%b}' % (b64encode(whole), bytes(found.meta)))

    def _add(self, piece: _Piece) -> bytearray | None:
        file = self._files.setdefault(piece.id, bytearray())
        if len(self._files) > OPEN_LIMIT:
            raise BadBlob(f"too many files at once: more than {OPEN_LIMIT} were begun and not ended")
        if len(file) > self.limit:
            raise BadBlob("file is too large")
        if self._size > HELD_LIMIT:
            raise BadBlob(f"file is too large: more than {HELD_LIMIT} bytes of files that have not ended")
        try:
            data = b64decode(piece.blob, validate=True)
        except ValueError as why:
            raise BadBlob(f"the file {piece.id} is no base64: {why}") from None
        if len(data) > PIECE_LIMIT:
            raise BadBlob("single file chunk is too large")
        file += data
        self._size += len(data)
        if not piece.end:
            return None
        self._size -= len(file)
        return self._files.pop(piece.id)
