"""JSON as a notation of declarations (package-format 17): types are strict, nothing is guessed."""

import json
from decimal import Decimal
from typing import Any, Final

from attrs import define, field

from difyd.package.documents import scalars
from difyd.package.documents.source import Node, Problem, Unfit, lines
from difyd.wire.decimals import decimal

_SURROGATES: Final = range(0xD800, 0xE000)
_EXACT: Final = 1 << 64
"""Integers below it are kept digit for digit, larger ones are floats."""


def parse(data: bytes) -> Any:
    """
    The value of a JSON text; numbers with a fraction or an exponent come as Decimal.

    Bytes that are no UTF-8 become U+FFFD. Raises ValueError for everything that is no JSON, NaN and absurd nesting included.
    """
    try:
        return json.loads(data.decode("utf-8", "replace"), parse_float=Decimal, parse_constant=_refuse)
    except RecursionError as why:
        raise ValueError("nested too deep") from why


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


@define(eq=False)
class JsonSource:
    """Reads values that `parse` made; a `Source`. An item that is no object refers to nothing, and is dropped."""

    has_files: Final = False
    references: list[Any] = field(factory=list, init=False)

    def path(self, node: Node) -> str | None:
        return None

    def describe(self, unfit: Unfit) -> str:
        return lines(iter(unfit.problems))

    def unfit(self, node: Node, text: str, *, final: bool = False) -> Unfit:
        return Unfit(Problem(text), final=final)

    def is_null(self, node: Node) -> bool:
        return node is None

    def is_list(self, node: Node) -> bool:
        return isinstance(node, list)

    def is_mapping(self, node: Node) -> bool:
        return isinstance(node, dict)

    def members(self, node: Node, what: str) -> dict[str, Node]:
        if not isinstance(node, dict):
            raise _mismatch(node, "an object")
        return node

    def items(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node, list):
            raise _mismatch(node, "a list")
        return node

    def text(self, node: Node) -> str:
        if not isinstance(node, str):
            raise _mismatch(node, "a string")
        return _without_surrogates(node)

    def flag(self, node: Node) -> bool:
        if not isinstance(node, bool):
            raise _mismatch(node, "true or false")
        return node

    def integer(self, node: Node, low: int, high: int) -> int:
        if not isinstance(node, int) or isinstance(node, bool) or not low <= node <= high:
            raise _mismatch(node, f"an integer from {low} to {high}")
        return node

    def number(self, node: Node) -> int | float:
        if not isinstance(node, int | Decimal) or isinstance(node, bool):
            raise _mismatch(node, "a number")
        return self._double(node)

    def decimal(self, node: Node) -> str:
        if not isinstance(node, str | int | Decimal) or isinstance(node, bool):
            raise _mismatch(node, "a decimal")
        try:
            return decimal(str(node))
        except ValueError as why:
            raise Unfit(Problem(str(why))) from why

    def time(self, node: Node) -> str:
        """One without a zone is taken as UTC: the SDK lets such ones pass (package-format 25.19)."""
        try:
            return scalars.rfc3339(self.text(node), zone="Z")
        except ValueError as why:
            raise Unfit(Problem(str(why))) from why

    def anything(self, node: Node) -> Any:
        match node:
            case dict():
                return {_without_surrogates(key): self.anything(node[key]) for key in sorted(node)}
            case list():
                return [self.anything(item) for item in node]
            case str():
                return _without_surrogates(node)
            case Decimal():
                return self._double(node)
            case int() if not isinstance(node, bool) and abs(node) >= _EXACT:
                return self._double(node)
        return node

    def _double(self, node: int | Decimal) -> int | float:
        try:
            return scalars.number(float(node))
        except (ValueError, OverflowError) as why:
            raise Unfit(Problem("the number is too large")) from why


def _mismatch(node: Node, wanted: str) -> Unfit:
    found = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "null"}.get(type(node), "a number")
    return Unfit(Problem(f"must be {wanted}, not {found}"))


def _without_surrogates(text: str) -> str:
    if text.isascii() or not any(ord(character) in _SURROGATES for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
