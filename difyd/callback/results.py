"""
What Dify answers, before a plugin sees it: it is checked, and passed on as it was written (backwards-invocation 6, 11, 12.2).

A check takes the `data` of an answer and gives what the plugin gets, nearly always the same bytes. It raises WrongShape. What the SDK cannot
read without is filled in, which is the only time that a result is written anew.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from difyd.callback.errors import InnerApiError
from difyd.callback.shapes import Shape, WrongShape, members
from difyd.entities.payloads import MessageType, Object, RankedDocument, Required, ToolCall
from difyd.entities.raw import EMPTY, NULL, encode
from difyd.wire.text import clean, mend_surrogates
from difyd.wire.usage import EmbeddingUsage, LLMUsage, unlike

Check = Callable[[Raw], Raw]

_NO_LIST: Final = Raw(b"[]")


class _Answer(Struct, frozen=True):
    """The envelope of every answer and frame. Other members, as of an error of the web framework, are none of ours."""

    data: Raw = NULL
    error: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_text = msgspec.json.Decoder(str).decode


def data_of(answer: bytes) -> Raw:
    """
    The `data` of an answer or a frame, fit to stand in a line: one line, valid UTF-8.

    Raises InnerApiError when it is none, tells an error, or has no data.
    """
    answer = clean(answer)
    try:
        try:
            found = _decode(answer)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # half a surrogate pair, perhaps
            found = _decode(mend_surrogates(answer))
    except (ValueError, RecursionError) as why:
        raise InnerApiError(f"the answer cannot be read: {why}") from None
    if found.error:
        raise InnerApiError("request failed: ", found.error)
    if found.data == NULL:
        raise InnerApiError("data is nil")
    return found.data


class _Message(Struct, frozen=True):
    role: Required
    content: str | list[Object] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class _Delta(Struct, frozen=True):
    index: int
    message: _Message
    usage: LLMUsage | None = None
    finish_reason: str | None = None


class _Chunk(Struct, frozen=True):
    model: Required
    delta: _Delta
    prompt_messages: Raw = _NO_LIST
    system_fingerprint: str | None = None
    structured_output: Object | UnsetType | None = UNSET


class _Embeddings(Struct, frozen=True):
    model: Required
    embeddings: list[list[float]]
    usage: EmbeddingUsage


class Ranking(Struct, frozen=True):
    model: Required
    docs: list[RankedDocument]


class Sound(Struct, frozen=True):
    result: str = ""
    mime_type: str | UnsetType = UNSET


class Text(Struct, frozen=True):
    result: str = ""


class Flag(Struct, frozen=True):
    result: bool = False


class Summary(Struct, frozen=True):
    summary: str = ""


class Upload(Struct, frozen=True):
    url: Required


class Node(Struct, frozen=True):
    process_data: Object
    outputs: Object
    inputs: Object


class _ToolMessage(Struct, frozen=True):
    type: MessageType
    message: Object | None = None
    meta: Object | None = None


_chunk: Final = Shape(_Chunk)
_EMBEDDINGS: Final = Shape(_Embeddings)
tool_message: Final[Check] = Shape(_ToolMessage).checked


def result(struct: type[Struct]) -> Check:
    """The check of an answer with these members."""
    return Shape(struct).checked


def llm(data: Raw) -> Raw:
    """A chunk of a language model: the prompt is not repeated to the plugin, content is a text, tool calls are a list, prices are texts."""
    return _mended(data, _chunk.decode(data))


def structured_llm(data: Raw) -> Raw:
    """The same with the structured output so far."""
    found = _chunk.decode(data)
    if found.structured_output is UNSET:
        data = encode({**members(data), "structured_output": NULL})
    return _mended(data, found)


def _mended(data: Raw, chunk: _Chunk) -> Raw:
    prices = _prices(chunk.delta.usage)
    missing: dict[str, Raw] = {}
    if chunk.delta.message.content is None:
        missing["content"] = EMPTY
    if chunk.delta.message.tool_calls is None:
        missing["tool_calls"] = _NO_LIST
    if not missing and not prices and chunk.prompt_messages == _NO_LIST:
        return data
    found = members(data)
    delta = members(found["delta"])
    delta["message"] = _with(delta["message"], missing)
    if prices:
        delta["usage"] = _with(delta["usage"], prices)
    return encode({**found, "prompt_messages": _NO_LIST, "delta": encode(delta)})


def embeddings(data: Raw) -> Raw:
    """Vectors, texts' or images'."""
    prices = _prices(_EMBEDDINGS.decode(data).usage)
    return _with(data, {"usage": _with(members(data)["usage"], prices)}) if prices else data


def _prices(usage: LLMUsage | EmbeddingUsage | None) -> dict[str, Raw]:
    """Those that a plugin would not read."""
    try:
        return {} if usage is None else unlike(usage)
    except ValueError as why:
        raise WrongShape(str(why)) from None


def _with(data: Raw, more: dict[str, Raw]) -> Raw:
    return encode({**members(data), **more})


def opaque(data: Raw) -> Raw:
    """Any object."""
    if bytes(memoryview(data)[:1]) != b"{":
        raise WrongShape("an object is expected")
    return data


class _Wrapped(Struct, frozen=True):
    data: Raw = NULL


_wrapped: Final = Shape(_Wrapped)


def unwrapped(data: Raw) -> Raw:
    """The object in the inner `data` of an answer that is wrapped twice. Raises InnerApiError when there is none."""
    inner = _wrapped.decode(data).data
    if inner == NULL:
        raise InnerApiError("data is nil")
    return opaque(inner)


def completed(data: Raw, base: str) -> Raw:
    """
    The answer with a `url` that can be used: a Dify that was not told its own address (`FILES_URL`) writes only the path.

    It is then where the inner API is, which is the Dify that this plugin's daemon can reach.
    """
    found = members(data)
    url = _text(found["url"])
    return encode({**found, "url": base + url}) if url.startswith("/") and not url.startswith("//") else data
