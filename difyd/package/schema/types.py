"""
What a field of a declaration may hold: read from a document, shown as JSON, held against rules.

A schema is a tree of these values, written down once per object (package-format 7, 10-16). Reading gives plain Python values that are the JSON
to serve, to the last key; `check` looks at those values for what packages may get away with and registrations may not (the D constraints of
package-format 1).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from attrs import frozen

from difyd.package.documents.scalars import ZERO_TIME
from difyd.package.documents.source import Node, Problem, Source, Unfit
from difyd.package.schema.rules import Rule, scope


class Type(Protocol):
    def read(self, source: Source, node: Node) -> Any:
        """The value of a node that is not null. Raises Unfit."""

    def empty(self) -> Any:
        """What an absent or null field is."""

    def check(self, value: Any) -> Iterator[Problem]:
        """The rules broken inside of `value`."""


def read_value(kind: Type, source: Source, node: Node | None) -> Any:
    return kind.empty() if node is None or source.is_null(node) else kind.read(source, node)


class _Leaf:
    """A type without parts has no rules inside."""

    def check(self, value: Any) -> Iterator[Problem]:
        yield from ()


@frozen
class Text(_Leaf):
    def read(self, source: Source, node: Node) -> str:
        return source.text(node)

    def empty(self) -> str:
        return ""


@frozen
class Flag(_Leaf):
    def read(self, source: Source, node: Node) -> bool:
        return source.flag(node)

    def empty(self) -> bool:
        return False


@frozen
class Integer(_Leaf):
    low: int = -(1 << 63)
    high: int = (1 << 63) - 1

    def read(self, source: Source, node: Node) -> int:
        return source.integer(node, self.low, self.high)

    def empty(self) -> int:
        return 0


@frozen
class Number(_Leaf):
    def read(self, source: Source, node: Node) -> int | float:
        return source.number(node)

    def empty(self) -> int:
        return 0


@frozen
class Price(_Leaf):
    """An exact decimal, as text."""

    def read(self, source: Source, node: Node) -> str:
        return source.decimal(node)

    def empty(self) -> str:
        return "0"


@frozen
class Time(_Leaf):
    def read(self, source: Source, node: Node) -> str:
        return source.time(node)

    def empty(self) -> str:
        return ZERO_TIME


@frozen
class Anything(_Leaf):
    def read(self, source: Source, node: Node) -> Any:
        return source.anything(node)

    def empty(self) -> None:
        return None


@frozen
class FreeObject(_Leaf):
    """A mapping of anything, such as a JSON Schema."""

    absent: Callable[[], dict[str, Any] | None] = lambda: None

    def read(self, source: Source, node: Node) -> Any:
        source.members(node, "map[string]interface {}")
        return source.anything(node)

    def empty(self) -> dict[str, Any] | None:
        return self.absent()


@frozen
class Optional:
    """`null` when absent, else what `kind` says."""

    kind: Type

    def read(self, source: Source, node: Node) -> Any:
        return self.kind.read(source, node)

    def empty(self) -> None:
        return None

    def check(self, value: Any) -> Iterator[Problem]:
        if value is not None:
            yield from self.kind.check(value)


@frozen
class ListOf:
    """A list; null items are dropped (package-format 4)."""

    item: Type
    absent: Callable[[], list[Any] | None] = lambda: None

    def read(self, source: Source, node: Node) -> list[Any]:
        return read_all(source.items(node, "list"), lambda item: None if source.is_null(item) else self.item.read(source, item))

    def empty(self) -> list[Any] | None:
        return self.absent()

    def check(self, value: Any) -> Iterator[Problem]:
        for index, item in enumerate(value or ()):
            yield from under(f"[{index}]", self.item.check(item))


def read_all(nodes: list[Node], read: Callable[[Node], Any]) -> list[Any]:
    """`read` of each node without the Nones. Raises Unfit with the problems of all."""
    found: list[Any] = []
    problems: list[Problem] = []
    for index, node in enumerate(nodes):
        try:
            value = read(node)
        except Unfit as why:
            unfit = why.under(f"[{index}]")
            if unfit.final:
                raise unfit from why
            problems += unfit.problems
        else:
            if value is not None:
                found.append(value)
    if problems:
        raise Unfit(*problems)
    return found


def is_none(value: Any) -> bool:
    return value is None


def is_empty(value: Any) -> bool:
    return not value


@frozen
class Field:
    """A member of a record."""

    name: str
    type: Type
    rules: tuple[Rule, ...] = ()
    omit: Callable[[Any], bool] = lambda _: False
    """Leave the member out of the JSON when this is true of its value."""
    also: str = ""
    """Another key to look under while `name` gives nothing."""
    scopes: Mapping[str, str] | None = None
    """The value is a scope: the known ones by the `type` beside it."""
    descend: bool = True
    """Do the rules inside of the value count? Not where the reference does not look."""
    unless_empty: bool = False
    """The rules inside count only when something was written."""
    needed: bool = False
    """A registration must have it, be it empty; files need not."""

    def read(self, source: Source, members: Mapping[str, Node]) -> Any:
        node = members.get(self.name)
        if self.needed and not source.has_files and (node is None or source.is_null(node)):
            raise Unfit(Problem("must be there, be it empty"))
        value = read_value(self.type, source, node)
        if not value and self.also:
            value = read_value(self.type, source, members.get(self.also))
        return value

    def check(self, record: Mapping[str, Any]) -> Iterator[Problem]:
        value = record.get(self.name)
        broken = [words for rule in self.rules if (words := rule(value)) is not None]
        if self.scopes is not None and (words := scope(value, record["type"], self.scopes)) is not None:
            broken.append(words)
        if broken:
            yield Problem(broken[0], self.name)
            return
        if self.descend and not (self.unless_empty and value == self.type.empty()):
            yield from under(self.name, self.type.check(value))


@frozen
class Record:
    """An object with known fields; others are dropped."""

    name: str
    """For errors: `cannot unmarshal !!seq into <name>`."""
    fields: tuple[Field, ...]
    finish: Callable[[dict[str, Any]], None] = lambda _: None
    """Completes the object from its own values. May raise Unfit."""

    def read(self, source: Source, node: Node) -> dict[str, Any]:
        members = source.members(node, self.name)
        record: dict[str, Any] = {}
        problems: list[Problem] = []
        for field in self.fields:
            try:
                record[field.name] = field.read(source, members)
            except Unfit as why:
                unfit = why.under(field.name)
                if unfit.final:
                    raise unfit from why
                problems += unfit.problems
        if problems:
            raise Unfit(*problems)
        return self._shown(record)

    def empty(self) -> dict[str, Any]:
        return self._shown({field.name: field.type.empty() for field in self.fields})

    def check(self, value: Any) -> Iterator[Problem]:
        for field in self.fields:
            yield from field.check(value)

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        self.finish(record)
        for field in self.fields:
            if field.omit(record[field.name]):
                del record[field.name]
        return record


def under(step: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    """The same problems, one level up."""
    yield from Unfit(*problems).under(step).problems
