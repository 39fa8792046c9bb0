"""
Settings of an endpoint against what its plugin declares (package-format 10.7, http-api 12).

A schema is the list `settings` of a declaration's endpoint group, each a dict with `name`, `type`, `required`, `scope`, `options`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from difyd.errors import BadRequest

Schema = Sequence[Mapping[str, Any]]
Values = Mapping[str, Any]

MOST: Final = 64
SECRET: Final = "secret-input"
_MODEL_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "all": (),
    "llm": (),
    "text-embedding": (),
    "speech2text": (),
    "moderation": (),
    "rerank": ("score_threshold", "top_n"),
    "tts": ("voice",),
    "vision": ("completion_params",),
    "document": (),
    "tool-call": (),
}
"""What a selected model must bring besides its name, by the parts of a scope."""


class BadSettings(BadRequest):
    """The submitted settings do not fit the schema; the text names the setting."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to validate settings: {reason}")


def validate(schema: Schema, values: Values) -> None:
    """Raises BadSettings. Settings that are not declared pass."""
    if len(values) > MOST:
        raise BadSettings("too many setting fields")
    for declared in schema:
        name = declared["name"]
        value = values.get(name)
        if value is not None:
            _check(name, declared, value)
        elif declared.get("required"):
            raise BadSettings(f"missing required setting: {name}")


def _check(name: str, declared: Mapping[str, Any], value: Any) -> None:
    kind = declared.get("type")
    if kind in ("text-input", SECRET, "select") and not isinstance(value, str):
        raise BadSettings(f"setting {name} is not a string")
    if kind == "select" and value not in [option.get("value") for option in declared.get("options") or []]:
        raise BadSettings(f"setting {name} is not a valid option")
    if kind == "boolean" and not isinstance(value, bool):
        raise BadSettings(f"setting {name} is not a boolean")
    if kind in ("app-selector", "model-selector"):
        if not isinstance(value, dict):
            raise BadSettings(f"setting {name} is not a map")
        for member in ("app_id",) if kind == "app-selector" else ("provider", "model", "model_type", *_scoped(name, declared)):
            if member not in value:
                raise BadSettings(f"setting {name} is missing {member}")


def _scoped(name: str, declared: Mapping[str, Any]) -> tuple[str, ...]:
    """A scope may have several parts, and counts for those that are known (package-format 10.6, 25.20)."""
    parts = [part.strip() for part in (declared.get("scope") or "all").split("&")]
    known = [_MODEL_SCOPES[part] for part in parts if part in _MODEL_SCOPES]
    if not known:
        raise BadSettings(f"setting {name} is not a valid model config scope")
    return tuple(member for members in known for member in members)


def has_secrets(schema: Schema) -> bool:
    """Only then is Dify asked to encrypt anything."""
    return any(declared.get("type") == SECRET for declared in schema)


def masked(schema: Schema, values: Values) -> dict[str, Any]:
    """The settings as a list may show them."""
    secrets = {declared["name"] for declared in schema if declared.get("type") == SECRET}
    return {name: mask(value) if name in secrets and isinstance(value, str) else value for name, value in values.items()}


def mask(secret: str) -> str:
    """Two letters at each end of a long secret, nothing of a short one. Letters are counted, not bytes, so that it stays text."""
    if len(secret) <= 6:
        return "*" * len(secret)
    return secret[:2] + "*" * (len(secret) - 4) + secret[-2:]


def unmasked(schema: Schema, submitted: Values, stored: Values) -> dict[str, Any]:
    """What a form sends back, with the stored secret wherever its mask came back unchanged."""
    shown = masked(schema, stored)
    secrets = {declared["name"] for declared in schema if declared.get("type") == SECRET}
    return {name: stored[name] if name in secrets and name in stored and value == shown[name] else value for name, value in submitted.items()}
