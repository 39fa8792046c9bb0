"""
What travels between Dify and plugins, in either direction: the parts that messages of both have (backwards-invocation 11, 12).

In the words of msgspec, and only what is checked.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Required = Annotated[str, Meta(min_length=1)]
"""A string that must not be empty."""
Object = dict[str, Raw]

MessageType = Literal[
    "text",
    "file",
    "blob",
    "blob_chunk",
    "json",
    "link",
    "image",
    "image_link",
    "binary_link",
    "variable",
    "log",
    "retriever_resources",
]
"""Of the messages of tools, agents and datasources."""


class FunctionCall(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class ToolCall(Struct, frozen=True):
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None


class ToolChoice(Struct, frozen=True):
    mode: Literal["auto", "none", "required", "tool"]
    name: str | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if self.mode == "tool" and not (self.name or "").strip():
            raise ValueError("mode `tool` needs the name of a tool")


class Document(Struct, frozen=True):
    """A text or an image of a multimodal call."""

    content: Required
    content_type: Literal["text", "image"]


class RankedDocument(Struct, frozen=True):
    index: int
    text: str
    score: float
