"""Settings and credentials that users submit, held against the fields that a declaration defines (package-format 10.7)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from difyd.errors import BadRequest
from difyd.package.schema.rules import CONFIG_SCOPES

_MAX_VALUES: Final = 64
_SHOWN_ENDS: Final = 2
_SHORT_SECRET: Final = 6
_MODEL_MEMBERS: Final = ("provider", "model", "model_type")
_SCOPE_MEMBERS: Final = {"rerank": ("score_threshold", "top_n"), "tts": ("voice",), "vision": ("completion_params",)}
_SCOPES: Final = frozenset(("all", *CONFIG_SCOPES["model-selector"].split()))

Field = Mapping[str, Any]
"""A ProviderConfig of a declaration's JSON."""


def check_values(fields: Sequence[Field], values: Mapping[str, Any]) -> None:
    """
    Raises BadRequest for the first submitted value that does not fit its field; keys without a field are ignored.

    `fields` are the ProviderConfig objects of a declaration's JSON, such as an endpoint group's `settings`.
    """
    if len(values) > _MAX_VALUES:
        raise BadRequest("too many setting fields")
    for field in fields:
        value = values.get(field["name"])
        if value is not None:
            _CHECKS.get(field["type"], _anything)(field, value)
        elif field["required"]:
            raise BadRequest(f"missing required setting: {field['name']}")


def _anything(field: Field, value: Any) -> None:
    """Types without a rule."""


def _text(field: Field, value: Any) -> None:
    if not isinstance(value, str):
        raise BadRequest(f"setting {field['name']} is not a string")


def _choice(field: Field, value: Any) -> None:
    _text(field, value)
    if all(option["value"] != value for option in field["options"] or ()):
        raise BadRequest(f"setting {field['name']} is not a valid option")


def _flag(field: Field, value: Any) -> None:
    if not isinstance(value, bool):
        raise BadRequest(f"setting {field['name']} is not a boolean")


def _app(field: Field, value: Any) -> None:
    _members(field, value, "app_id")


def _model(field: Field, value: Any) -> None:
    """A combined scope asks for the members of all its parts; every scope that can be declared is fine (package-format 25.20)."""
    _members(field, value, *_MODEL_MEMBERS)
    parts = [part.strip() for part in (field["scope"] or "all").split("&")]
    if not _SCOPES & set(parts):
        raise BadRequest(f"setting {field['name']} is not a valid model config scope")
    for part in parts:
        _members(field, value, *_SCOPE_MEMBERS.get(part, ()))


def _members(field: Field, value: Any, *names: str) -> None:
    if not isinstance(value, dict):
        raise BadRequest(f"setting {field['name']} is not a map")
    for name in names:
        if name not in value:
            raise BadRequest(f"setting {field['name']} is missing {name}")


_CHECKS: Final[dict[str, Callable[[Field, Any], None]]] = {
    "text-input": _text,
    "secret-input": _text,
    "select": _choice,
    "boolean": _flag,
    "app-selector": _app,
    "model-selector": _model,
}


def mask_values(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as they may be shown: those of `secret-input` fields hidden up to their ends."""
    secrets = {field["name"] for field in fields if field["type"] == "secret-input"}
    return {name: _masked(value) if name in secrets and isinstance(value, str) else value for name, value in values.items()}


def _masked(secret: str) -> str:
    """Lengths count bytes; what is cut out of a character's middle is shown as U+FFFD."""
    data = secret.encode("utf-8", "replace")
    if len(data) <= _SHORT_SECRET:
        return "*" * len(data)
    ends = data[:_SHOWN_ENDS], data[-_SHOWN_ENDS:]
    return ("*" * (len(data) - 2 * _SHOWN_ENDS)).join(end.decode("utf-8", "replace") for end in ends)
