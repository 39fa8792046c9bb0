"""
The head of an HTTP request, read in one go.

twisted.web takes a head apart line by line through its line receiver, which is two thirds of what a small request costs it. Here a head is
looked at when it is complete. What is accepted and what is refused is the same (a test compares the two on any bytes), except:

- a header that goes on in a second line is refused (RFC 9112 5.2 lets a server choose);
- a length is refused together with a transfer coding, and so is a coding in HTTP/1.0 (6.1: request smuggling);
- `identity` is no transfer coding any more;
- HTTP/1.1 needs one Host, and no request may have two (RFC 9112 3.2);
- a target that is a whole URL, as clients send it to proxies, is taken apart: its path, and its host as Host (3.2.2);
- a header's name has an end;
- a target may hold any byte from 0x80 on: clients send UTF-8 as it is.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field
from twisted.web.http_headers import Headers

MOST_FIELDS: Final = 500
"""Header lines in one head; each costs memory, however short it is."""
_NAMES_KEPT: Final = 1000
LONGEST_NAME: Final = 256
"""Bytes of a header's name. We keep a thousand names, and twisted.web ten thousand: somebody who makes them up must not fill the memory."""

_START: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
_URL: Final = re.compile(rb"(?i)https?://([^/?]+)(.*)")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class BadHead(Exception):
    """A head that breaks the protocol, with the HTTP status that says how."""

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


class Fields(Headers):
    """twisted.web's headers, made from names and values that have been checked already."""

    __slots__ = ()

    def __init__(self, fields: dict[bytes, list[bytes]]) -> None:
        self._rawHeaders = fields

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        """As in twisted.web, but a value that is no UTF-8 does not raise when it is asked for as text: clients may send any bytes."""
        if isinstance(name, bytes):
            kept = self._rawHeaders.get(name)  # nearly everyone asks by the canonical name, by which they are kept
            return super().getRawHeaders(name, default) if kept is None else kept
        values = super().getRawHeaders(name.encode())
        return default if values is None else [value.decode("utf-8", "replace") for value in values]


@define(slots=True, eq=False)
class Head:
    method: bytes
    target: bytes
    version: bytes
    fields: dict[bytes, list[bytes]]
    """By canonical name, in the order of their first appearance."""
    length: int | None
    """Of the body in bytes; None when it comes in chunks."""


@define(eq=False)
class HeadReader:
    """Takes heads apart; keeps the canonical spelling of the header names it has seen, up to a bound."""

    _names: dict[bytes, bytes] = field(factory=dict, init=False)

    def read(self, data: bytes) -> Head:
        """`data`: everything before the empty line. Raises BadHead."""
        first, *lines = data.split(b"\r\n")
        start = _START.fullmatch(first)
        if start is None:
            raise BadHead
        if len(lines) > MOST_FIELDS:
            raise BadHead(431)
        if data.count(b"\n") != len(lines) or data.count(b"\r") != len(lines) or b"\0" in data:
            raise BadHead  # a line end within a line
        fields: dict[bytes, list[bytes]] = {}
        names = self._names
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise BadHead
            canonical = names.get(name) or self._canonical(name)
            if canonical in fields:
                fields[canonical].append(value.strip(b" \t"))
            else:
                fields[canonical] = [value.strip(b" \t")]
        method, target, minor = start.groups()
        hosts = fields.get(b"Host")
        if len(hosts) != 1 if hosts is not None else minor == b"1":
            raise BadHead
        if target[:1] != b"/" and (url := _URL.fullmatch(target)) is not None:
            fields[b"Host"], target = [url[1]], url[2] if url[2][:1] == b"/" else b"/" + url[2]
        return Head(method, target, b"HTTP/1." + minor, fields, _length(fields, minor))

    def _canonical(self, name: bytes) -> bytes:
        if len(name) > LONGEST_NAME:
            raise BadHead(431)
        if _TOKEN.fullmatch(name) is None:
            raise BadHead
        (canonical,) = _spelled(name)
        if len(self._names) < _NAMES_KEPT:
            self._names[name] = canonical
        return canonical


def _spelled(name: bytes) -> Iterator[bytes]:
    return (canonical for canonical, _ in Headers({name: [b""]}).getAllRawHeaders())


def _length(fields: dict[bytes, list[bytes]], minor: bytes) -> int | None:
    """How long the body is, by RFC 9112 6.3. Every doubt is refused: two readers that differ about it can be played against each other."""
    lengths, codings = fields.get(b"Content-Length"), fields.get(b"Transfer-Encoding")
    if codings is not None:
        if lengths is not None or minor == b"0" or len(codings) != 1 or codings[0].lower() != b"chunked":
            raise BadHead
        return None
    if lengths is None:
        return 0
    if len(lengths) != 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise BadHead
    return int(lengths[0])
