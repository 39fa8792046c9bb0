"""
The table of actions: all that the daemon knows of a call's kind (http-api 7.3, 9; local-runtime 10). Adding an action is adding a row.

A row names the route, what the plugin is told, the members of `data` that are checked, and the check of the plugin's chunks. Members that
are not named pass through, in both directions.
"""

from enum import Enum
from typing import Any, Final, Literal

import msgspec
from attrs import frozen
from msgspec import Raw

from difyd.entities.payloads import Document, Object, RankedDocument, Required, ToolChoice
from difyd.invoke import chunks
from difyd.invoke.chunks import CheckChunk, result
from difyd.invoke.fields import EMPTY, FALSE, LIST, NULL, OBJECT, ZERO, Field, Fields, of
from difyd.invoke.model_schema import model_schema
from difyd.invoke.polling import polling_result
from difyd.invoke.schemas import DriveBucket, LooseMessage, ModelType, Option, PromptTool, RequestMessage, Voice


class Answer(Enum):
    """What becomes of the chunks."""

    STREAM = "each is an event"
    ASSEMBLED = "each is an event, pieces of files are put together first"
    LAST = "the last one is the answer, as plain JSON"


AGENT_FILE: Final = 15 * 1024 * 1024
DATASOURCE_FILE: Final = 45 * 1024 * 1024
"""60 MiB in base64, which `PLUGIN_SESSION_BUFFER` still holds; Dify takes 30 to 50 MiB, by its settings."""


@frozen(eq=False)
class Action:
    path: str
    """Below `/dispatch/`."""
    access: str
    """The access type, `type` of the request line."""
    name: str
    """`action` of the request line."""
    request: Fields
    check: CheckChunk
    answer: Answer = Answer.STREAM
    file_limit: int = AGENT_FILE
    """Bytes of a file that is put together."""
    repeatable: bool = False
    """Changes nothing anywhere, so a request whose fate is unknown may be sent again (decision table, serverless retries)."""


def text(name: str) -> Field:
    return Field(name, of(Required), required=True)


def optional_text(name: str) -> Field:
    return Field(name, of(str), absent=EMPTY)


def obj(name: str) -> Field:
    """An object that the receiver insists on: {} when the sender left it out or null (decision table, backwards-invocation 17.6)."""
    return Field(name, of(Object), absent=OBJECT)


def required(name: str, type_: Any) -> Field:
    return Field(name, of(type_), required=True)


def optional(name: str, type_: Any, absent: Raw | None = NULL) -> Field:
    return Field(name, of(type_), absent=absent)


def listed(name: str, member: Any) -> Field:
    """A list: [] when the sender left it out or null, since no receiver reads null there (dify-client 8)."""
    return optional(name, list[member], LIST)


def _number(name: str, type_: Any) -> Field:
    """0 when it is absent, as the reference sends it; a null of the client stays null (decision table)."""
    return Field(name, of(type_), absent=ZERO, null=NULL)


def _credential_type() -> Field:
    """Left out when it is empty: the SDK refuses an empty one."""
    return Field("credential_type", of(str), absent=None)


_PROVIDER: Final = text("provider")
_CREDENTIALS: Final = (obj("credentials"), _credential_type())


def _model(kind: Any, *more: Field) -> Fields:
    return Fields.of(_PROVIDER, text("model"), required("model_type", kind), *_CREDENTIALS, *more)


def _datasource(*more: Field) -> Fields:
    return Fields.of(_PROVIDER, text("datasource"), *_CREDENTIALS, *more)


def _trigger(*more: Field) -> Fields:
    return Fields.of(_PROVIDER, *_CREDENTIALS, *more)


def _oauth(*more: Field) -> Fields:
    return Fields.of(_PROVIDER, text("redirect_uri"), obj("system_credentials"), *more)


def _flag(name: str = "result") -> Field:
    return optional(name, bool, FALSE)


_LLM_REQUEST: Final = _model(
    Literal["llm"],
    obj("model_parameters"),
    listed("prompt_messages", LooseMessage),
    optional("tools", list[PromptTool]),
    optional("tool_choice", ToolChoice, absent=None),
    optional("stop", list[str]),
    optional("json_schema", Object),
    optional("stream", bool, FALSE),
)
_RANKING: Final = (_number("score_threshold", float), _number("top_n", int))
_VALIDATED: Final = result(Fields.of(_flag()))
_VALIDATED_MODEL: Final = result(Fields.of(_flag(), optional("credentials", Object)))
_RANKED: Final = result(Fields.of(text("model"), required("docs", list[RankedDocument])))
_SUBSCRIPTION: Final = result(Fields.of(obj("subscription")))
_EXPIRY: Final = optional("expires_at", int, Raw(b"-1"))
"""Absent and null mean never; the reference's 0 is taken for long ago (backwards-invocation 14.2)."""
_BROWSE: Final = Fields.of(
    optional("bucket", str), optional_text("prefix"), required("max_keys", int), optional("next_page_parameters", Object),
    rule=lambda members: _not_zero(members, "max_keys"),
)  # fmt: skip


def _not_zero(members: dict[str, Raw], name: str) -> None:
    if not msgspec.json.decode(members[name]):
        raise ValueError(f"Key: '{name}' Error:Field validation for '{name}' failed on the 'required' tag: it must not be 0")


def _state(name: str) -> Field:
    def check(value: Raw) -> None:
        if not of(Object)(value):
            raise ValueError("it must not be empty")

    return Field(name, check, required=True)


ACTIONS: Final = (
    Action("tool/invoke", "tool", "invoke_tool",
           Fields.of(_PROVIDER, text("tool"), obj("tool_parameters"), *_CREDENTIALS), chunks.message),
    Action("tool/validate_credentials", "tool", "validate_tool_credentials",
           Fields.of(_PROVIDER, obj("credentials")), _VALIDATED, repeatable=True),
    Action("tool/get_runtime_parameters", "tool", "get_tool_runtime_parameters",
           Fields.of(_PROVIDER, text("tool"), obj("credentials")),
           result(Fields.of(listed("parameters", Object))), repeatable=True),
    Action("llm/invoke", "model", "invoke_llm", _LLM_REQUEST, chunks.llm),
    Action("llm/num_tokens", "model", "get_llm_num_tokens",
           _model(Literal["llm"], listed("prompt_messages", RequestMessage), optional("tools", list[PromptTool])),
           result(Fields.of(optional("num_tokens", int, ZERO))), repeatable=True),
    Action("text_embedding/invoke", "model", "invoke_text_embedding",
           _model(Literal["text-embedding"], required("texts", list[str]), text("input_type")), chunks.embedding, repeatable=True),
    Action("multimodal_embedding/invoke", "model", "invoke_multimodal_embedding",
           _model(Required, required("documents", list[Document]), required("input_type", Literal["document", "query"])),
           chunks.embedding, repeatable=True),
    Action("text_embedding/num_tokens", "model", "get_text_embedding_num_tokens",
           _model(Literal["text-embedding"], required("texts", list[str])),
           result(Fields.of(required("num_tokens", list[int]))), repeatable=True),
    Action("rerank/invoke", "model", "invoke_rerank",
           _model(Literal["rerank"], text("query"), required("docs", list[str]), *_RANKING), _RANKED, repeatable=True),
    Action("multimodal_rerank/invoke", "model", "invoke_multimodal_rerank",
           _model(Required, required("query", Document), required("docs", list[Document]), *_RANKING), _RANKED, repeatable=True),
    Action("tts/invoke", "model", "invoke_tts",
           _model(Literal["tts"], text("content_text"), text("voice"), text("tenant_id")),
           result(Fields.of(optional_text("result"), optional("mime_type", str, absent=None)))),
    Action("tts/model/voices", "model", "get_tts_model_voices",
           _model(Literal["tts"], optional_text("language")), result(Fields.of(required("voices", list[Voice]))), repeatable=True),
    Action("speech2text/invoke", "model", "invoke_speech2text",
           _model(Literal["speech2text"], text("file")), result(Fields.of(optional_text("result"))), repeatable=True),
    Action("moderation/invoke", "model", "invoke_moderation",
           _model(Literal["moderation"], text("text")), _VALIDATED, repeatable=True),
    Action("model/validate_provider_credentials", "model", "validate_provider_credentials",
           Fields.of(_PROVIDER, *_CREDENTIALS), _VALIDATED_MODEL, repeatable=True),
    Action("model/validate_model_credentials", "model", "validate_model_credentials",
           _model(ModelType), _VALIDATED_MODEL, repeatable=True),
    Action("model/schema", "model", "get_ai_model_schemas", _model(ModelType), model_schema, repeatable=True),
    Action("model/polling/start", "model", "start_polling", _LLM_REQUEST, polling_result, Answer.LAST),
    Action("model/polling/check", "model", "check_polling",
           _model(Literal["llm"], _state("plugin_state")), polling_result, Answer.LAST),
    Action("agent_strategy/invoke", "agent_strategy", "invoke_agent_strategy",
           Fields.of(text("agent_strategy_provider"), text("agent_strategy"), obj("agent_strategy_params")),
           chunks.message, Answer.ASSEMBLED),
    Action("oauth/get_authorization_url", "oauth", "get_authorization_url",
           _oauth(), result(Fields.of(optional_text("authorization_url")))),
    Action("oauth/get_credentials", "oauth", "get_credentials",
           _oauth(text("raw_http_request")),
           result(Fields.of(optional("metadata", Object, absent=None), obj("credentials"), _EXPIRY))),
    Action("oauth/refresh_credentials", "oauth", "refresh_credentials",
           _oauth(required("credentials", Object)),
           result(Fields.of(obj("credentials"), _EXPIRY))),
    Action("dynamic_select/fetch_parameter_options", "dynamic_parameter", "fetch_parameter_options",
           Fields.of(_PROVIDER, text("provider_action"), text("parameter"), required("credentials", Object), _credential_type()),
           result(Fields.of(listed("options", Option))), repeatable=True),
    Action("datasource/validate_credentials", "datasource", "validate_datasource_credentials",
           Fields.of(_PROVIDER, *_CREDENTIALS), _VALIDATED, repeatable=True),
    Action("datasource/get_website_crawl", "datasource", "invoke_website_datasource_get_crawl",
           _datasource(required("datasource_parameters", Object)), result(Fields.of(obj("result")))),
    Action("datasource/get_online_document_pages", "datasource", "invoke_online_document_datasource_get_pages",
           _datasource(required("datasource_parameters", Object)), result(Fields.of(listed("result", Object)))),
    Action("datasource/get_online_document_page_content", "datasource", "invoke_online_document_datasource_get_page_content",
           _datasource(required("page", Object)), chunks.message, Answer.ASSEMBLED, DATASOURCE_FILE),
    Action("datasource/online_drive_browse_files", "datasource", "invoke_online_drive_browse_files",
           _datasource(Field("request", of(Object), required=True, within=_BROWSE)),
           result(Fields.of(required("result", list[DriveBucket]))), repeatable=True),
    Action("datasource/online_drive_download_file", "datasource", "invoke_online_drive_download_file",
           _datasource(Field("request", of(Object), required=True, within=Fields.of(optional("bucket", str), text("id")))),
           chunks.message, Answer.ASSEMBLED, DATASOURCE_FILE),
    Action("trigger/invoke_event", "trigger", "invoke_trigger_event",
           _trigger(text("event"), text("raw_http_request"), obj("parameters"), required("subscription", Object), obj("payload")),
           result(Fields.of(obj("variables"), _flag("cancelled")))),
    Action("trigger/validate_credentials", "trigger", "validate_trigger_credentials", _trigger(), _VALIDATED, repeatable=True),
    Action("trigger/dispatch_event", "trigger", "dispatch_trigger_event",
           _trigger(required("subscription", Object), text("raw_http_request")),
           result(Fields.of(optional_text("user_id"), listed("events", str), optional("payload", Object, absent=None),
                            optional_text("response")))),
    Action("trigger/subscribe", "trigger", "subscribe_trigger",
           _trigger(text("endpoint"), obj("parameters")), _SUBSCRIPTION),
    Action("trigger/unsubscribe", "trigger", "unsubscribe_trigger", _trigger(required("subscription", Object)), _SUBSCRIPTION),
    Action("trigger/refresh", "trigger", "refresh_trigger", _trigger(required("subscription", Object)), _SUBSCRIPTION),
)  # fmt: skip
"""In the order of http-api 7.3."""
