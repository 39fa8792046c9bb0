"""
The constraints that registrations over the debugging port are held to, and a manifest when it is packaged (package-format 1, 6, 7, 10).

Lengths count characters.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from difyd.package.documents.scalars import ZERO_TIME

Rule = Callable[[Any], str | None]
"""A constraint: the words for what is wrong with a value, or None."""

VERSION: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){2}(?:-\w{1,16})?", re.ASCII)
"""Of manifests and bundles (package-format 6.2)."""
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)


def required(value: Any) -> str | None:
    """A text that is not empty, a number that is not zero."""
    return None if value else "must not be empty"


def not_null(value: Any) -> str | None:
    """A list that is there, be it empty."""
    return "must be a list" if value is None else None


def given(value: Any) -> str | None:
    """A time that is there."""
    return "must not be empty" if value in ("", ZERO_TIME) else None


def shorter(limit: int) -> Rule:
    """Fewer than `limit` characters or items."""

    def rule(value: Any) -> str | None:
        return f"must be shorter than {limit}" if len(value or ()) >= limit else None

    return rule


def at_most(limit: int) -> Rule:
    """At most `limit` characters or items."""

    def rule(value: Any) -> str | None:
        return f"must have a length of at most {limit}" if len(value or ()) > limit else None

    return rule


def between(low: int, high: int) -> Rule:
    def rule(value: Any) -> str | None:
        return None if low <= value <= high else f"must be from {low} to {high}"

    return rule


def one_of(words: str) -> Rule:
    """Exactly one of these words."""
    known = frozenset(words.split())

    def rule(value: Any) -> str | None:
        return None if value in known else f'"{value}" is not one of: {words}'

    return rule


def each(inner: Rule) -> Rule:
    """`inner` for every item of a list."""

    def rule(value: Any) -> str | None:
        return next((words for item in value or () if (words := inner(item)) is not None), None)

    return rule


def version(value: Any) -> str | None:
    return None if VERSION.fullmatch(value) else f'"{value}" is no version like 1.0.0 or 1.0.0-beta'


def name(value: Any) -> str | None:
    """Of tools, strategies, events and their providers."""
    return None if _NAME.fullmatch(value) else f'"{value}" must consist of letters, digits, - and _'


def url(value: Any) -> str | None:
    """An absolute URL, unless it is null."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return f'"{value}" is no URL'
    return None if parts.scheme and (parts.netloc or parts.fragment) else f'"{value}" is no absolute URL'


def scalar(value: Any) -> str | None:
    return "must be a text, a number or a boolean" if isinstance(value, list | dict) else None


_MODELS: Final = "llm text-embedding rerank tts speech2text moderation vision document tool-call"
CONFIG_SCOPES: Final = {
    "app-selector": "all chat workflow completion",
    "model-selector": _MODELS,
    "array[tools]": "all plugin api workflow",  # refused by the reference, and harmless (package-format 24)
}
PARAMETER_SCOPES: Final = {**CONFIG_SCOPES, "any": "string number object array[number] array[string] array[object] array[file]"}


def scope(value: str | None, type_beside: str, known: Mapping[str, str]) -> str | None:
    """A scope must suit the `type` beside it: one of its parts, separated by `&`, is enough (package-format 10.6)."""
    if value is None:
        return None
    words = known.get(type_beside)
    if words is None:
        return f'a "{type_beside}" has no scope'
    parts = {part.strip() for part in value.split("&")}
    return None if parts & set(words.split()) else f'"{value}" is not one of: {words}'
