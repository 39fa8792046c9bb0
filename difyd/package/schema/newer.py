"""
Fields of newer SDKs and API servers, handed through unchanged (package-format 25.15).

The reference drops them, so that they may hold anything in plugins that work with it; yet a client fails a whole list for one field of another
shape (dify-client 3.4). What does not have the shape that clients read is left out here, too, and never an error.
"""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from difyd.package.documents.source import Node, Source, Unfit
from difyd.package.schema.types import Anything, Field, is_none


@frozen
class _Passed(Anything):
    """Any value that fits; one that does not is as good as absent."""

    fits: Callable[[Any], bool]

    def read(self, source: Source, node: Node) -> Any:
        try:
            value = source.anything(node)
        except Unfit:
            return None
        return value if self.fits(value) else None


def _passed(name: str, fits: Callable[[Any], bool]) -> Field:
    return Field(name, _Passed(fits), omit=is_none)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_i18n(value: Any) -> bool:
    """English, and other languages that may be null (dify-client 8.1)."""
    return isinstance(value, dict) and bool(value.get("en_US")) and all(isinstance(text, str | None) for text in value.values())


def _is_conditions(value: Any) -> bool:
    return _is_list(value) and all(_is_texts(item) and item.keys() >= {"variable", "value"} for item in value)


def _is_options(value: Any) -> bool:
    return _is_list(value) and all(map(_is_option, value))


def _is_option(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("value"), str | int | float) or not _is_i18n(value.get("label")):
        return False
    return value.get("children") is None or _is_options(value["children"])


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and value != []


_CONDITIONS: Final = _passed("show_on", _is_conditions)
OF_PARAMETERS: Final = (
    _passed("placeholder", _is_i18n),
    _passed("input_schema", lambda value: isinstance(value, dict)),
    _CONDITIONS,
    _passed("dynamic_select_lazy_load", lambda value: isinstance(value, bool)),
)
"""Of parameters of every kind."""
OF_OPTIONS: Final = (_CONDITIONS, _passed("children", _is_options))
"""Of their options; in a tree an option has further ones."""
