"""
The table of invocation types: all that the daemon knows of what plugins ask (backwards-invocation 4, 6.5, 7). Adding a type is adding a row.

A row names the permission, the route of the inner API, the members of the request that are checked, the check of Dify's answer, and the words
that stand before the cause when it fails. Members that are not named pass through, in both directions.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from msgspec import Raw

from difyd.callback import permissions, requests, results
from difyd.callback.errors import BadInvocation
from difyd.callback.permissions import Permission
from difyd.callback.results import Check, result
from difyd.callback.shapes import Shape, WrongShape, members
from difyd.entities.call import Call
from difyd.entities.raw import Members, encode


@frozen(eq=False)
class InvocationType:
    name: str
    """`type`, in the plugin's message and in what Dify gets."""
    permission: Permission
    request: Shape[Any]
    path: str
    """Below `/inner/api/`."""
    check: Check
    failed: str
    """What was tried, in the text of an error."""
    broken: str = ""
    """The same after the answer has begun. Only streaming types have it."""
    user: str = ""
    """A member of the request that names the user once more; as `user_id` it is not the plugin's to choose."""
    link: bool = False
    """The answer's `url` may be relative."""
    young: bool = False
    """Not every Dify in the field has the route."""
    repeatable: bool = False
    """Changes nothing and costs little: to ask twice does no harm. As for calls of plugins, language models are not among them."""

    @property
    def streams(self) -> bool:
        return bool(self.broken)

    def body(self, call: Call, request: Raw) -> bytes:
        """What Dify gets for a plugin's `request`: completed, in the name of the tenant and the user of `call`. Raises BadInvocation."""
        forced = {"tenant_id": call.tenant, "user_id": call.user, "type": self.name}
        if self.user:
            forced[self.user] = call.user
        found = opened(self.request, request, forced)
        body = encode({**found, **forced})
        fits(self.request, body)
        return bytes(body)


def opened(shape: Shape[Any], request: Raw, forced: Mapping[str, str]) -> Members:
    """The members of a request, completed; none but those of the names in `forced` may be spelled like these. Raises BadInvocation."""
    try:
        found = members(request)
    except WrongShape as why:
        raise BadInvocation(f"decoding map: {why}") from None
    shape.complete(found, forced.keys())
    return found


def fits(shape: Shape[Any], request: Raw) -> Any:
    """The known members of a completed request. Raises BadInvocation, whose text names the member."""
    try:
        return shape.decode(request)
    except WrongShape as why:
        raise BadInvocation(f"{'validating struct' if why.missing else 'decoding map'}: {why}") from None


_EMBEDDED: Final = results.embeddings
_RANKED: Final = result(results.Ranking)
_NODE: Final = result(results.Node)


def _model(name: str, permission: Permission, request: Shape[Any], path: str, check: Check, word: str, young: bool = False) -> InvocationType:
    """A model that answers at once."""
    return InvocationType(name, permission, request, path, check, f"invoke {word} model failed", young=young, repeatable=True)


_ROWS: Final = (
    InvocationType("llm", permissions.LLM, requests.CHAT, "invoke/llm", results.llm,
                   "invoke llm model failed", "read llm model failed"),
    InvocationType("llm_structured_output", permissions.LLM, requests.STRUCTURED_CHAT, "invoke/llm/structured-output", results.structured_llm,
                   "invoke llm with structured output model failed", "read llm with structured output model failed"),
    _model("text_embedding", permissions.TEXT_EMBEDDING, Shape(requests.TextEmbedding), "invoke/text-embedding", _EMBEDDED, "text-embedding"),
    _model("multimodal_embedding", permissions.TEXT_EMBEDDING, requests.MULTIMODAL_EMBEDDING, "invoke/multimodal-embedding", _EMBEDDED,
           "multimodal embedding", young=True),
    _model("rerank", permissions.RERANK, Shape(requests.Rerank), "invoke/rerank", _RANKED, "rerank"),
    _model("multimodal_rerank", permissions.RERANK, requests.MULTIMODAL_RERANK, "invoke/multimodal-rerank", _RANKED,
           "multimodal rerank", young=True),
    InvocationType("tts", permissions.TTS, Shape(requests.TextToSpeech), "invoke/tts", result(results.Sound),
                   "invoke tts model failed", "read tts model failed"),
    _model("speech2text", permissions.SPEECH2TEXT, Shape(requests.SpeechToText), "invoke/speech2text", result(results.Text), "speech2text"),
    _model("moderation", permissions.MODERATION, Shape(requests.Moderation), "invoke/moderation", result(results.Flag), "moderation"),
    InvocationType("tool", permissions.TOOL, Shape(requests.Tool), "invoke/tool", results.tool_message,
                   "invoke tool failed", "read tool response failed"),
    InvocationType("app", permissions.APP, Shape(requests.App), "invoke/app", results.opaque,
                   "invoke app failed", "read app failed", user="user"),
    InvocationType("node_parameter_extractor", permissions.NODE, requests.PARAMETER_EXTRACTOR, "invoke/parameter-extractor", _NODE,
                   "invoke parameter extractor failed"),
    InvocationType("node_question_classifier", permissions.NODE, requests.QUESTION_CLASSIFIER, "invoke/question-classifier", _NODE,
                   "invoke question classifier failed"),
    InvocationType("system_summary", permissions.LLM, Shape(requests.Summary), "invoke/summary", result(results.Summary),
                   "invoke summary failed"),
    InvocationType("upload_file", permissions.ALWAYS, Shape(requests.UploadFile), "upload/file/request", result(results.Upload),
                   "upload file failed", link=True, repeatable=True),
    InvocationType("fetch_app", permissions.APP, Shape(requests.FetchApp), "fetch/app/info", results.unwrapped, "fetch app failed",
                   repeatable=True),
)  # fmt: skip

TYPES: Final = {row.name: row for row in _ROWS}
"""By name. `storage` is not among them: it is served here, see `difyd.callback.storage`; `encrypt` is the daemon's own."""
