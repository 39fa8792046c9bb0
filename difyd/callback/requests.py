"""
What plugins may ask of Dify: the members of each kind of request that are checked (backwards-invocation 5, 7).

Object without a default are demanded. A default is what Dify gets for a member that the plugin left out or wrote as null: `{}` for objects,
which Dify requires, 0 for the numbers that older servers demand (backwards-invocation 17.6, 17.7).
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from difyd.callback.shapes import Shape
from difyd.entities.payloads import Document, Object, Required, ToolChoice


class _Model(Struct, frozen=True, kw_only=True):
    provider: Required
    model: Required


class PromptTool(Struct, frozen=True):
    name: Required
    description: str = ""
    parameters: Object = {}


class Chat(_Model, frozen=True, kw_only=True):
    """Prompt messages are Dify's business: any role and any content passes."""

    mode: Required
    completion_params: Object = {}
    prompt_messages: list[Raw] = []
    tools: list[PromptTool] | None = None
    tool_choice: ToolChoice | UnsetType = UNSET
    stop: list[str] | None = None
    stream: bool = False


class StructuredChat(Chat, frozen=True, kw_only=True):
    structured_output_schema: Object


class TextEmbedding(_Model, frozen=True, kw_only=True):
    texts: list[str]
    input_type: Required


class MultimodalEmbedding(_Model, frozen=True, kw_only=True):
    documents: list[Document]
    input_type: Literal["document", "query"]


class Rerank(_Model, frozen=True, kw_only=True):
    query: Required
    docs: list[str]
    score_threshold: float = 0
    top_n: int = 0


class MultimodalRerank(_Model, frozen=True, kw_only=True):
    query: Document
    docs: list[Document]
    score_threshold: float = 0
    top_n: int = 0


class TextToSpeech(_Model, frozen=True, kw_only=True):
    content_text: Required
    voice: Required


class SpeechToText(_Model, frozen=True, kw_only=True):
    file: Required
    """Audio in hex, which Dify decodes."""


class Moderation(_Model, frozen=True, kw_only=True):
    text: Required


class Summary(Struct, frozen=True):
    text: Required
    instruction: str = ""


class Tool(Struct, frozen=True):
    tool_type: Literal["builtin", "workflow", "api", "mcp"]
    provider: Required
    tool: Required
    tool_parameters: Object = {}
    credential_id: str = ""
    credential_type: str | UnsetType = UNSET


class App(Struct, frozen=True):
    app_id: Required
    inputs: Object = {}
    query: str = ""
    response_mode: str = ""
    conversation_id: str = ""


class NodeModel(Struct, frozen=True):
    provider: Required
    name: Required
    mode: Required
    completion_params: Object = {}


class Parameter(Struct, frozen=True):
    name: Required
    type: Literal["string", "number", "bool", "select", "array[string]", "array[number]", "array[object]"]
    options: list[str] | None = None
    description: str = ""
    required: bool = False


class ParameterExtractor(Struct, frozen=True):
    parameters: list[Parameter]
    model: NodeModel
    query: Required
    instruction: str = ""


class Category(Struct, frozen=True):
    id: Required
    name: Required


class QuestionClassifier(Struct, frozen=True):
    classes: list[Category]
    model: NodeModel
    query: Required
    instruction: str = ""


class FetchApp(Struct, frozen=True):
    app_id: Required


class UploadFile(Struct, frozen=True):
    filename: Required
    mimetype: Required


class Storage(Struct, frozen=True):
    """An operation on what the plugin keeps (backwards-invocation 8.1)."""

    opt: Literal["get", "set", "del", "exist"]
    key: Required
    value: str = ""
    """In hex."""


_CHAT: Final[Mapping[str, Shape[Any]]] = {"tools": Shape(PromptTool), "tool_choice": Shape(ToolChoice)}
_DOCUMENT: Final = Shape(Document)
_NODE_MODEL: Final = Shape(NodeModel)

CHAT: Final = Shape(Chat, _CHAT)
STRUCTURED_CHAT: Final = Shape(StructuredChat, _CHAT)
MULTIMODAL_EMBEDDING: Final = Shape(MultimodalEmbedding, {"documents": _DOCUMENT})
MULTIMODAL_RERANK: Final = Shape(MultimodalRerank, {"query": _DOCUMENT, "docs": _DOCUMENT})
PARAMETER_EXTRACTOR: Final = Shape(ParameterExtractor, {"parameters": Shape(Parameter), "model": _NODE_MODEL})
QUESTION_CLASSIFIER: Final = Shape(QuestionClassifier, {"classes": Shape(Category), "model": _NODE_MODEL})
STORAGE: Final = Shape(Storage)
