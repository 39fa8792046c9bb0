"""
What is done to a chunk of a plugin before a client sees it: it is checked, and passed on as it was written.

A check takes the chunk's bytes and gives the bytes to send, nearly always the same object. It raises MalformedChunk, which ends the call.
What the client cannot read without (an absent `result`, the `tool_calls` of null, prices) is filled in, which is the only time that a
chunk is written anew (http-api 8.3-8.6; decision table).
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from difyd.entities.payloads import MessageType, Object, Required
from difyd.errors import MalformedChunk
from difyd.invoke.fields import NULL, Fields, Members, encode
from difyd.invoke.schemas import AnswerMessage
from difyd.wire.usage import EmbeddingUsage, LLMUsage, unlike

CheckChunk = Callable[[Raw], Raw]

_NO_PROMPT: Final = Raw(b"[]")
_members = msgspec.json.Decoder(Members)


class Message(Struct, frozen=True):
    """A chunk of a tool, an agent or a datasource (http-api 8.4)."""

    type: MessageType
    message: Object | UnsetType | None = UNSET
    meta: Object | UnsetType | None = UNSET


class _Delta(Struct, frozen=True):
    index: int
    message: AnswerMessage
    usage: LLMUsage | None = None
    finish_reason: str | None = None


class _LLMChunk(Struct, frozen=True):
    model: Required
    delta: _Delta
    prompt_messages: Raw = Raw(b"")
    system_fingerprint: str | None = None


class _Embedding(Struct, frozen=True):
    model: Required
    embeddings: list[list[float]]
    usage: EmbeddingUsage


decode_message = msgspec.json.Decoder(Message).decode
_decode_llm_chunk = msgspec.json.Decoder(_LLMChunk).decode
_decode_embedding = msgspec.json.Decoder(_Embedding).decode


def message(chunk: Raw) -> Raw:
    """A message of a tool or a datasource; absent `message` and `meta` become null."""
    try:
        found = decode_message(chunk)
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    if found.message is not UNSET and found.meta is not UNSET:
        return chunk
    return encode({"message": NULL, "meta": NULL, **_members.decode(chunk)})


def llm(chunk: Raw) -> Raw:
    """A chunk of a language model: the prompt is not repeated to the client, `tool_calls` is a list, prices are texts."""
    try:
        found = _decode_llm_chunk(chunk)
        prices = unlike(found.delta.usage) if found.delta.usage is not None else None
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    if found.prompt_messages == _NO_PROMPT and found.delta.message.tool_calls is not None and not prices:
        return chunk
    members = _members.decode(chunk)
    members["prompt_messages"] = _NO_PROMPT
    delta = _members.decode(members["delta"])
    if found.delta.message.tool_calls is None:
        delta["message"] = _with(delta["message"], {"tool_calls": Raw(b"[]")})
    if prices:
        delta["usage"] = _with(delta["usage"], prices)
    members["delta"] = encode(delta)
    return encode(members)


def embedding(chunk: Raw) -> Raw:
    """The vectors of a model, with prices as texts."""
    try:
        prices = unlike(_decode_embedding(chunk).usage)
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    if not prices:
        return chunk
    return _with(chunk, {"usage": _with(_members.decode(chunk)["usage"], prices)})


def _with(data: Raw, more: Members) -> Raw:
    return encode({**_members.decode(data), **more})


def result(fields: Fields) -> CheckChunk:
    """The check of an answer that has these members."""

    def check(chunk: Raw) -> Raw:
        try:
            members, changed = fields.open(chunk)
        except ValueError as why:
            raise MalformedChunk(str(why)) from None
        return encode(members) if changed else chunk

    return check
