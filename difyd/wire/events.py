"""
What a plugin writes, line by line (local-runtime 6.2, 6.3).

    {"event":"session","session_id":"5b0f…","data":{"type":"stream","data":{…}}}     a message of one call
    {"event":"heartbeat","session_id":null,"data":{}}                                the plugin lives
    {"event":"log","data":{"level":"INFO","message":"…","timestamp":1735689600.25}}  for the daemon's log
    {"event":"error","session_id":null,"data":{"error":"…"}}                         a line of ours that it could not use

A healthy line is decoded once, its payload stays the bytes that the plugin wrote. Whatever else a process may print (text, half a line
before a message, two messages at once, lone surrogates, NaN) goes through `salvage`, which a healthy line never enters.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from attrs import frozen
from msgspec import DecodeError, Raw, Struct

from difyd.errors import MalformedLine
from difyd.wire.text import mend_surrogates

NULL: Final = Raw(b"null")
EMPTY: Final = Raw(b"{}")
ABSENT: Final = Raw(b"")
SHOWN: Final = 1024
"""Bytes of a bad line that an error shows."""
ATTEMPTS: Final = 64
"""How many messages are looked for in one bad line: what a plugin prints must not keep the reactor busy."""


class SessionMessage(Struct, frozen=True):
    """The data of a session event. Both members are demanded by the protocol; a missing `type` is "", missing `data` has no bytes."""

    type: str = ""
    data: Raw = ABSENT


class PluginEvent(Struct, frozen=True):
    """One line, opened as far as routing needs. Lines of other events may carry any `data`; see `decode_event`."""

    event: str = ""
    """Absent in the first line of every plugin, its manifest, which is no error."""
    session_id: str | None = None
    data: SessionMessage | None = None


@frozen
class Unusable:
    """A message of a session that was recognised but cannot be passed on: NaN, nesting beyond reason, cut short."""

    session_id: str
    reason: str


@frozen
class Text:
    """What is no message: a print of the plugin."""

    text: bytes


_event = msgspec.json.Decoder(PluginEvent)
_any = msgspec.json.Decoder(dict[str, Raw])
_lenient = json.JSONDecoder()
_START = re.compile(r'\{\s*"(?:event|session_id)"\s*:')
_INVOKE = re.compile(rb'"type"\s*:\s*"invoke"')
_INVOCATION = re.compile(rb'"backwards_request_id"\s*:\s*"([^"\\]{1,128})"')
_SESSION = re.compile(rb'"session_id"\s*:\s*"([^"\\]{1,64})"')


def decode_event(line: bytes) -> PluginEvent:
    """
    The event of a line that has passed `difyd.wire.text.clean`.

    Raises MalformedLine when the line is not a JSON object of this shape. Events other than `session` are allowed any `data`; where it is
    no object, `data` is None.
    """
    try:
        return _event.decode(line)
    except (DecodeError, UnicodeDecodeError, RecursionError) as why:  # msgspec lets the last two through
        raise MalformedLine(f"{why}: {line[:SHOWN]!r}") from why


def members(line: bytes) -> dict[str, Raw]:
    """The members of a line that `decode_event` took; for the rare event whose data is wanted whole (`log`, `error`)."""
    return _any.decode(line)


def session_of(head: bytes) -> str | None:
    """The session of a line of which only the beginning is left: the SDK writes the event and the id first."""
    match = _SESSION.search(head)
    return match[1].decode(errors="replace") if match else None


def invocation_of(head: bytes, tail: bytes) -> str | None:
    """The id of the invocation whose over-long line began and ended so; None when it is lost."""
    match = _INVOCATION.search(head) or _INVOCATION.search(tail)
    return match[1].decode(errors="replace") if match else None


def is_invocation(head: bytes) -> bool:
    """Does a line that begins so call Dify?"""
    return _INVOKE.search(head) is not None


def salvage(line: bytes) -> Iterator[tuple[PluginEvent, bytes] | Unusable | Text]:
    """
    What can be had from a line that `decode_event` refused, in its order: events with their own text, and the rest as Text.

    Messages after stray output and several on one line are found by how they begin. One that is broken is told with its session, which must
    not take it for never sent. An event whose data is of the wrong type comes without data.
    """
    line = mend_surrogates(line)
    try:
        yield decode_event(line), line
        return
    except MalformedLine:
        text = line.decode(errors="replace")
    told = at = 0
    found: tuple[PluginEvent, bytes] | Unusable | Text
    for _ in range(ATTEMPTS):
        start = _START.search(text, at)
        if start is None:
            break
        at = start.end()
        try:
            _, end = _lenient.raw_decode(text, start.start())  # takes NaN and Infinity, as Python's writers do
        except (ValueError, RecursionError) as why:
            session = session_of(text[start.start() : start.start() + SHOWN].encode())
            if session is None:
                continue
            found, end = Unusable(session, str(why)), len(text)
        else:
            found, at = _one(text[start.start() : end].encode()), end
        if stray := text[told : start.start()].strip():
            yield Text(stray.encode())
        yield found
        told = end
    if rest := text[told:].strip():
        yield Text(rest.encode())


def _one(text: bytes) -> tuple[PluginEvent, bytes] | Unusable | Text:
    try:
        return decode_event(text), text
    except MalformedLine as why:
        reason = str(why.__cause__)
    try:
        found = _any.decode(text)
        event, session = (msgspec.json.decode(found.get(name, NULL)) for name in ("event", "session_id"))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        known = session_of(text[:SHOWN])
        return Text(text) if known is None else Unusable(known, reason)
    return PluginEvent(event if isinstance(event, str) else "", session if isinstance(session, str) else None), text


def from_alias(line: bytes) -> list[PluginEvent]:
    """
    Messages in the words of an older sketch of this protocol (local-runtime 15), for a line without `event`; none when it is no such line.

    Only what names its session can be used: a response, the pieces of a stream; a `heartbeat_ack` is a heartbeat.
    """
    try:
        found: dict[str, Any] = _any.decode(line)
        kind, session = (msgspec.json.decode(found.get(name, NULL)) for name in ("type", "session_id"))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return []
    if kind == "heartbeat_ack":
        return [PluginEvent("heartbeat")]
    if not isinstance(session, str):
        return []
    data = found.get("data", NULL)

    def message(type: str, data: Raw = EMPTY) -> PluginEvent:
        return PluginEvent("session", session, SessionMessage(type, data))

    match kind:
        case "response" if bytes(found.get("status", NULL)) == b'"error"':
            return [message("error", _aliased_error(found.get("error", NULL)))]
        case "response":
            return [message("stream", data), message("end")]
        case "stream_chunk":
            return [message("stream", data)]
        case "stream_end":
            return [message("end")]
    return []


def _aliased_error(raw: Raw) -> Raw:
    error = msgspec.json.decode(raw)
    if not isinstance(error, dict):
        return raw
    args = {"code": error["code"]} if "code" in error else {}
    return Raw(msgspec.json.encode({"error_type": str(error.get("type", "")), "message": str(error.get("message", "")), "args": args}))
