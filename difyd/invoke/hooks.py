"""The answer of a plugin to a web hook: a head, then bytes (http-api 11.4, backwards-invocation 14.4)."""

import re
from typing import Final

import msgspec
from attrs import define, field
from msgspec import Raw, Struct
from zope.interface import Interface, implementer

from difyd.errors import InternalError, MalformedChunk
from difyd.invoke.answers import IAnswer

FRAMING: Final = frozenset(
    (
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers about the connection, which is not the plugin's but ours."""
HEAD_LIMIT: Final = 1024 * 1024
"""Bytes of names and values of headers: a plugin may go on sending some for as long as it sends no body."""
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_UNFIT: Final = re.compile(r"[\r\n\0]")


class IResponse(Interface):
    """Towards the caller of the hook."""

    def start(status: int, headers: dict[str, str]) -> None:
        """The head; exactly once, before any bytes. It goes out with the first write, or at the end."""

    def write(data: bytes) -> None:
        """Bytes of the body, perhaps none. Raises ClientTooSlow."""


class _Chunk(Struct, frozen=True):
    status: int | None = None
    headers: dict[str, str] | None = None
    result: str | None = None


_chunk = msgspec.json.Decoder(_Chunk)


@implementer(IAnswer)
@define(eq=False)
class HookAnswer:
    """
    Collects the head until the first bytes, then hands bytes on.

    Of several statuses the last one before the body counts, of several values of a header the first. A chunk without bytes is no fault.
    """

    _response: IResponse
    _status: int = field(default=200, init=False)
    _headers: dict[str, str] = field(factory=dict, init=False)
    _size: int = field(default=0, init=False)
    """Of the headers."""
    _pieces: list[bytes] = field(factory=list, init=False)
    _begun: bool = field(default=False, init=False)
    started: bool = field(default=False, init=False)
    """Has the answer begun?"""

    def chunk(self, data: Raw) -> None:
        try:
            found = _chunk.decode(data)
            piece = None if found.result is None else bytes.fromhex(found.result)
        except (ValueError, RecursionError) as why:
            raise MalformedChunk(str(why)) from None
        if not self._begun:
            self._add_to_head(found)
        if piece is not None:
            self._begun = True
            self._pieces.append(piece)

    def flush(self) -> None:
        if not self._begun:
            return
        pieces, self._pieces = b"".join(self._pieces), []
        if not self.started:
            self._start()
            self._response.write(pieces)  # also when there are none: a caller may wait for the head alone
        elif pieces:
            self._response.write(pieces)

    def end(self) -> None:
        """The plugin has ended, perhaps without a body."""
        if not self.started:
            self._start()

    def _add_to_head(self, found: _Chunk) -> None:
        if found.status is not None:
            if not 200 <= found.status <= 999:
                raise BadStatus(found.status)
            self._status = found.status
        for name, value in (found.headers or {}).items():
            if name.lower() not in FRAMING and _TOKEN.fullmatch(name):
                self._headers.setdefault(name.lower(), _UNFIT.sub(" ", value))
                self._size += len(name) + len(value)
        if self._size > HEAD_LIMIT:
            raise MalformedChunk(f"the headers of the answer have more than {HEAD_LIMIT} bytes")

    def _start(self) -> None:
        self.started = True
        self._response.start(self._status, self._headers)


class BadStatus(InternalError):
    """A plugin answers a status that a response cannot have."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the plugin answered the HTTP status {status}; a response has one of 200 to 999")
