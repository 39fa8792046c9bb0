"""
What a schema asks of a document.

A document is a tree of nodes that only its source can open. A schema walks it and says what it wants at each place; the source converts by its
notation's rules (package-format 4 for YAML, 17 for JSON) or says why it cannot.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from attrs import evolve, frozen

Node = Any
"""Opaque: a node of YAML, or a plain value out of JSON."""


@frozen
class Problem:
    """Why a value does not fit."""

    text: str
    path: str = ""
    """Where in the document: `tools[0].identity.name`."""
    line: int = 0
    """Counted from 1; 0 when the notation knows none."""


class Unfit(Exception):
    """
    A node is not what the schema wants there. Raised by sources and types; a record collects those of its fields.

    With `final` there is one problem and its text is the whole refusal, whatever else may be wrong in the document.
    """

    def __init__(self, *problems: Problem, final: bool = False) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems, self.final = problems, final

    def under(self, step: str) -> "Unfit":
        """The same one level up: `step` is a field's name or an index in brackets."""
        return Unfit(*(evolve(problem, path=_join(step, problem.path)) for problem in self.problems), final=self.final)


class Source(Protocol):
    """
    A notation. Every method that takes a node raises Unfit when the node is not of the kind that the method names.

    A null node is none of them: callers ask `is_null` first and take the empty value then.
    """

    references: list[Any]
    """What was found to refer to other files, in the order of the document (`difyd.package.schema.references`)."""

    @property
    def has_files(self) -> bool:
        """Can a value of this notation refer to files?"""

    def is_null(self, node: Node) -> bool: ...
    def is_list(self, node: Node) -> bool: ...
    def is_mapping(self, node: Node) -> bool: ...

    def members(self, node: Node, what: str) -> dict[str, Node]:
        """The members of a mapping, in its order; `what` is the name of the wanted object."""

    def items(self, node: Node, what: str) -> list[Node]:
        """The items of a list, nulls included."""

    def text(self, node: Node) -> str: ...
    def flag(self, node: Node) -> bool: ...

    def integer(self, node: Node, low: int, high: int) -> int:
        """An integer within these bounds, both included."""

    def number(self, node: Node) -> int | float:
        """A number that passed through a double, as JSON has it."""

    def decimal(self, node: Node) -> str: ...

    def time(self, node: Node) -> str:
        """As RFC 3339."""

    def anything(self, node: Node) -> Any:
        """Any value, ready for JSON: the keys of mappings are text, and sorted as the reference sorts them."""

    def unfit(self, node: Node, text: str, *, final: bool = False) -> Unfit:
        """An error at this node, for a type that has a rule of its own."""

    def path(self, node: Node) -> str | None:
        """The path of a file with an item, where an item may stand; None where there are no files."""

    def describe(self, unfit: Unfit) -> str:
        """The words for the person who wrote the document."""


def _join(step: str, rest: str) -> str:
    return step + rest if not rest or rest.startswith("[") else f"{step}.{rest}"


def lines(problems: Iterator[Problem]) -> str:
    """One line per problem, each led by its path."""
    return "\n".join(f"{problem.path}: {problem.text}" if problem.path else problem.text for problem in problems)
