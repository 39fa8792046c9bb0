"""The types of single members in requests and answers (backwards-invocation 11-14), in the words of msgspec. Only what is checked."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from difyd.entities.payloads import Object, Required, ToolCall

Role = Literal["system", "user", "assistant", "tool"]
RequestRole = Literal["system", "user", "assistant", "tool", "developer"]
ModelType = Literal[
    "llm", "text-embedding", "rerank", "speech2text", "moderation", "tts", "text2img", "multimodal-embedding", "multimodal-rerank"
]


class Part(Struct, frozen=True):
    """A piece of the content of a prompt message."""

    type: Literal["text", "image", "audio", "video", "document"]
    data: str | None = None
    base64_data: str | None = None
    url: str | None = None
    encode_format: str | None = None
    format: str | None = None
    mime_type: str | None = None
    detail: str | None = None
    filename: str | None = None


class LooseMessage(Struct, frozen=True):
    """A prompt message where only its shape is looked at: the roles and parts of tomorrow pass (http-api 7.4)."""

    role: Required
    content: str | list[Object]
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class RequestMessage(Struct, frozen=True):
    """A prompt message where roles and parts are known ones."""

    role: RequestRole
    content: str | list[Part]
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class AnswerMessage(Struct, frozen=True):
    """The message in a chunk of a language model."""

    role: Role
    content: str | list[Part]
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class PromptTool(Struct, frozen=True):
    name: Required
    description: str | None = None
    parameters: Object | None = None


class Voice(Struct, frozen=True):
    name: Required
    value: Required


class Label(Struct, frozen=True):
    """An I18nObject whose English text is demanded; all texts are shorter than 1024 characters."""

    en_US: Annotated[str, Meta(min_length=1, max_length=1023)]
    ja_JP: Annotated[str, Meta(max_length=1023)] | None = None
    zh_Hans: Annotated[str, Meta(max_length=1023)] | None = None
    pt_BR: Annotated[str, Meta(max_length=1023)] | None = None


class Option(Struct, frozen=True):
    value: Required
    label: Label
    icon: str | None = None


class DriveFile(Struct, frozen=True):
    id: str | None = None
    name: str | None = None
    size: int | None = None
    type: str | None = None


class DriveBucket(Struct, frozen=True):
    bucket: str | None = None
    files: list[DriveFile] | None = None
    is_truncated: bool | None = None
    next_page_parameters: Object | None = None
