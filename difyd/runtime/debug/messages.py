"""
The lines of a registration (debug-runtime 4), and what is said to a plugin that is turned away (5).

    {"type":"handshake","data":{"key":"4d3f0a52-6a6f-4a53-9d50-2a6f7f0b9a11"}}
    {"type":"manifest_declaration","data":{…}}
    {"type":"tool_declaration","data":[{…}]}
    {"type":"asset_chunk","data":{"filename":"icon.svg","data":"PHN2Zy8+","end":true}}
    {"type":"end","data":{}}

The SDK prints a line that it cannot parse on the developer's screen. That is how a developer learns what is wrong: the texts are the wire's.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from attrs import frozen
from msgspec import DecodeError, Raw, Struct

from difyd.errors import DaemonError
from difyd.wire.text import utf8

ABSENT: Final = Raw(b"")
GLUED: Final = 1024 * 1024
"""Longest line that may hold several messages: decoding them all at once makes objects many times their size."""
LAST_WORDS: Final = 4096
"""Characters that a refusal says at most: a declaration may break ten thousand rules."""

INVALID: Final = "handshake failed, invalid handshake message"
UNKNOWN_KEY: Final = "handshake failed, invalid key"
SECOND_HANDSHAKE: Final = "handshake already completed"
BUSY: Final = "server is busy now, please try again later"
TOO_LONG: Final = "message too large, at most 64MB"
TOO_MANY_ASSETS: Final = "assets too large, at most 50MB"
NOTHING: Final = "no registration transferred, cannot initialize"


class Refusal(DaemonError):
    """A plugin is turned away; the text is what its developer reads. Raised in this room, caught by the connection."""


def last_words(why: DaemonError) -> bytes:
    """The text of an error on one line, which the SDK shows in one piece; without its newline, and with nothing that steers a terminal."""
    text = "; ".join(filter(None, map(str.strip, str(why).splitlines())))
    if len(text) > LAST_WORDS:
        text = text[: LAST_WORDS - 1] + "…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text).encode()


@frozen
class Kind:
    """One kind of declaration, with the beginnings of its refusals."""

    name: str
    """As the manifest knows it; "manifest" for the manifest itself."""
    twice: str
    invalid: str


DECLARATIONS: Final[Mapping[str, Kind]] = {
    "manifest_declaration": Kind("manifest", "declaration already registered", "handshake failed, invalid plugin declaration"),
    "tool_declaration": Kind("tool", "tools declaration already registered", "tools register failed, invalid tools declaration"),
    "model_declaration": Kind("model", "models declaration already registered", "models register failed, invalid models declaration"),
    "endpoint_declaration": Kind(
        "endpoint", "endpoints declaration already registered", "endpoints register failed, invalid endpoints declaration"
    ),
    "agent_strategy_declaration": Kind(
        "agent_strategy",
        "agent strategy declaration already registered",
        "agent strategies register failed, invalid agent strategies declaration",
    ),
    "datasource_declaration": Kind(
        "datasource", "datasource declaration already registered", "datasources register failed, invalid datasources declaration"
    ),
    "trigger_declaration": Kind("trigger", "triggers declaration already registered", "triggers register failed, invalid triggers declaration"),
}


@frozen
class Handshake:
    """The first message: a key."""

    key: str


@frozen
class Declared:
    """A manifest, or the providers of one kind; `data` is not looked into."""

    kind: Kind
    data: bytes


@frozen
class Chunk:
    """A piece of an asset; `data` is not looked into."""

    data: bytes


@frozen
class End:
    """Everything has been handed in."""


@frozen
class Unknown:
    """A message of a newer SDK."""


Message = Handshake | Declared | Chunk | End | Unknown


class _Envelope(Struct, frozen=True):
    type: str = ""
    data: Raw = ABSENT
    event: Raw = ABSENT
    """A line of the running phase has this instead of a type."""


class _Handshake(Struct, frozen=True):
    key: str = ""


_envelope = msgspec.json.Decoder(_Envelope)
_handshake = msgspec.json.Decoder(_Handshake)
_PASSING = (b'"heartbeat"', b'"log"')


def messages_of(line: bytes) -> list[Message]:
    """
    What a line says: one message; none for a heartbeat, which the SDK's thread goes on to send while it connects again; several where two
    threads of it have written at once.

    Raises Refusal when it is no registration message.
    """
    line = utf8(line)
    try:
        envelopes = _envelope.decode_lines(line) if len(line) <= GLUED else [_envelope.decode(line)]
    except (DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise Refusal(INVALID) from why
    return [_message(envelope) for envelope in envelopes if bytes(envelope.event) not in _PASSING]


def _message(envelope: _Envelope) -> Message:
    kind, data = envelope.type, bytes(envelope.data)
    if not (kind and data):
        raise Refusal(INVALID)
    if kind in DECLARATIONS:
        return Declared(DECLARATIONS[kind], data)
    match kind:
        case "handshake" | "hand_shake":  # the second is the name in older notes (13)
            return _key(data)
        case "asset_chunk":
            return Chunk(data)
        case "end":
            return End()
    return Unknown()


def _key(data: bytes) -> Handshake:
    try:
        key = _handshake.decode(data).key
    except (DecodeError, UnicodeDecodeError) as why:
        raise Refusal(INVALID) from why
    if not key:
        raise Refusal(INVALID)
    return Handshake(key)
