"""
What Dify answers, before a plugin sees it: it is checked, and passed on as it was written (backwards-invocation 6, 11, 12.2).

A check takes the `data` of an answer and gives what the plugin gets, nearly always the same bytes. It raises WrongShape. What the SDK cannot
read without is filled in, which is the only time that a result is written anew.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from difyd.callback.errors import InnerApiError
from difyd.callback.shapes import Shape, WrongShape, members
from difyd.entities.payloads import MessageType, Object, RankedDocument, Required, ToolCall
from difyd.entities.raw import EMPTY, NULL, encode
from difyd.package.documents.scalars import price
from difyd.wire.text import clean, mend_surrogates

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
    usage: Raw = NULL
    finish_reason: str | None = None


class _Chunk(Struct, frozen=True):
    model: Required
    delta: _Delta
    prompt_messages: Raw = _NO_LIST
    system_fingerprint: str | None = None
    structured_output: Object | UnsetType | None = UNSET


class _Usage(Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    currency: str
    latency: float


class _EmbeddingUsage(Struct, frozen=True):
    tokens: int
    total_tokens: int
    currency: str
    latency: float


class _Embeddings(Struct, frozen=True):
    model: Required
    embeddings: list[list[float]]
    usage: Raw


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
_USAGE: Final = Shape(_Usage)
_USAGE_PRICES: Final = (
    "prompt_unit_price", "prompt_price_unit", "prompt_price", "completion_unit_price", "completion_price_unit", "completion_price",
    "total_price",
)  # fmt: skip
_EMBEDDINGS: Final = Shape(_Embeddings)
_EMBEDDING_USAGE: Final = Shape(_EmbeddingUsage)
_EMBEDDING_PRICES: Final = ("unit_price", "price_unit", "total_price")
tool_message: Final[Check] = Shape(_ToolMessage).checked


def result(struct: type[Struct]) -> Check:
    """The check of an answer with these members."""
    return Shape(struct).checked


def llm(data: Raw) -> Raw:
    """A chunk of a language model: the prompt is not repeated to the plugin, content is a text and tool calls are a list."""
    found = _chunk.decode(data)
    return _mended(data, found) if _needs_mending(found) else data


def structured_llm(data: Raw) -> Raw:
    """The same with the structured output so far."""
    found = _chunk.decode(data)
    if found.structured_output is UNSET:
        data = encode({**members(data), "structured_output": NULL})
    return _mended(data, found) if _needs_mending(found) else data


def _needs_mending(chunk: _Chunk) -> bool:
    message = chunk.delta.message
    return message.content is None or message.tool_calls is None or chunk.delta.usage != NULL or chunk.prompt_messages != _NO_LIST


def _mended(data: Raw, chunk: _Chunk) -> Raw:
    found = members(data)
    if chunk.prompt_messages != _NO_LIST:
        found["prompt_messages"] = _NO_LIST
    delta = members(found["delta"])
    message = members(delta["message"])
    if chunk.delta.message.content is None:
        message["content"] = EMPTY
    if chunk.delta.message.tool_calls is None:
        message["tool_calls"] = _NO_LIST
    delta["message"] = encode(message)
    if chunk.delta.usage != NULL:
        delta["usage"] = _usage(chunk.delta.usage, _USAGE, _USAGE_PRICES)
    return encode({**found, "delta": encode(delta)})


def embeddings(data: Raw) -> Raw:
    """Vectors, texts' or images'."""
    found = _EMBEDDINGS.decode(data)
    usage = _usage(found.usage, _EMBEDDING_USAGE, _EMBEDDING_PRICES)
    return data if usage is found.usage else encode({**members(data), "usage": usage})


def _usage(usage: Raw, shape: Shape[Any], prices: tuple[str, ...]) -> Raw:
    """Prices become texts in plain notation, as the SDK and older plugins know them (backwards-invocation 9)."""
    shape.decode(usage)
    found = members(usage)
    changed = False
    for name in prices:
        value = found.get(name, NULL)
        plain = _plain(name, value)
        if plain != value:
            found[name] = plain
            changed = True
    return encode(found) if changed else usage


def _plain(name: str, value: Raw) -> Raw:
    try:
        return Raw(price(bytes(value)))
    except ValueError:
        raise WrongShape(f"{name} is no price: {bytes(value)[:64]!r}") from None


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
