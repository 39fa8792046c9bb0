"""The YAML dialect of packages: how the nodes of a file become values (package-format 4)."""

import base64
import binascii
import json
import math
from typing import Any, Final

from attrs import define, field

from difyd.package.documents import scalars
from difyd.package.documents.nodes import BadYaml, Composer, ListNode, MappingNode, Node, Scalar
from difyd.package.documents.scalars import BOOL, FLOAT, INT, NULL, STR, TIME
from difyd.package.documents.source import Problem, Unfit
from difyd.wire.decimals import decimal

MAX_CHARACTERS: Final = 16 * 1024 * 1024
_BINARY: Final = "!!binary"
_YES: Final = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_NO: Final = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_FREE_VISITS: Final = 100_000
_VISITS_PER_NODE: Final = 5
_RECORD: Final = 4
"""What a mapping costs more than a scalar: its value has all the keys that nobody wrote."""


@define(eq=False)
class YamlSource:
    """
    Reads the YAML files of one package; a `Source`.

    Aliases share nodes, so what bounds the work of reading is the number of nodes visited: five times those that were written, and some.
    A file that says what it means visits each of its nodes twice or thrice. The texts that are read are bounded likewise.
    """

    has_files: Final = True
    references: list[Any] = field(factory=list, init=False)
    _composer: Composer = field(factory=Composer, init=False)
    _visits: int = field(default=0, init=False)
    _characters: int = field(default=0, init=False)

    def parse(self, data: bytes) -> Node | None:
        """The tree of the first document of a file; None when the file is empty. Raises BadYaml."""
        return self._composer.compose(data)

    def describe(self, unfit: Unfit) -> str:
        if unfit.final:
            problem = unfit.problems[0]
            return problem.text if problem.path in problem.text else f"{problem.text} (at {problem.path})"
        found = (f"line {p.line}: {p.text}" + (f" (at {p.path})" if p.path else "") for p in unfit.problems)
        return "yaml: unmarshal errors:\n  " + "\n  ".join(found)

    def unfit(self, node: Node, text: str, *, final: bool = False) -> Unfit:
        return Unfit(Problem(text, line=node.line), final=final)

    def path(self, node: Node) -> str | None:
        return self.text(node)

    # What a node is

    def is_null(self, node: Node) -> bool:
        return isinstance(node, Scalar) and (node.plain or bool(node.tag)) and self._resolve(node)[0] == NULL

    def is_list(self, node: Node) -> bool:
        return isinstance(node, ListNode)

    def is_mapping(self, node: Node) -> bool:
        return isinstance(node, MappingNode)

    # Collections

    def members(self, node: Node, what: str) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self._mismatch(node, what)
        self._visit(node, _RECORD)
        return {name: value for key, value in self._pairs(node) if (name := self._name(key)) is not None}

    def items(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node, ListNode):
            raise self._mismatch(node, what)
        self._visit(node, len(node.items))
        return node.items

    def _pairs(self, node: MappingNode) -> list[tuple[Node, Node]]:
        """Keys and values, those of merges first: the mapping's own beat them, and of several merges the first one wins."""
        self._visit(node, len(node.pairs))
        own: dict[str, tuple[Node, Node]] = {}
        odd, merged = [], []
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                odd.append((key, value))
                continue
            if key.text in own:
                first = own[key.text][0].line
                raise self.unfit(key, f'mapping key "{key.text}" already defined at line {first}')
            own[key.text] = (key, value)
            if key.merges:
                merged.append(value)
        if not merged:
            return [*own.values(), *odd]
        pairs: dict[str, tuple[Node, Node]] = {}
        for value in merged:
            for source in reversed(self._merges(value)):
                pairs.update((key.text, (key, item)) for key, item in self._pairs(source) if isinstance(key, Scalar))
        pairs.update(own)
        return [pair for pair in (*pairs.values(), *odd) if not (isinstance(pair[0], Scalar) and pair[0].merges)]

    def _merges(self, value: Node) -> list[MappingNode]:
        sources = value.items if isinstance(value, ListNode) else [value]
        found = [source for source in sources if isinstance(source, MappingNode)]
        if len(found) != len(sources):
            raise self.unfit(value, "yaml: map merge requires map or sequence of maps as the value", final=True)
        return found

    def _name(self, key: Node) -> str | None:
        """The name of a member; None for a null key, which names nothing."""
        return None if self.is_null(key) else self.text(key)

    # Scalars

    def text(self, node: Node) -> str:
        scalar, tag, value = self._scalar(node, "string")
        return str(value) if tag == _BINARY else scalar.text

    def flag(self, node: Node) -> bool:
        _, tag, value = self._scalar(node, "bool")
        if tag == BOOL:
            return bool(value)
        if tag == STR and value in _YES:
            return True
        if tag == STR and value in _NO:
            return False
        raise self._mismatch(node, "bool")

    def integer(self, node: Node, low: int, high: int) -> int:
        _, tag, value = self._scalar(node, "int")
        if tag in (INT, FLOAT) and math.isfinite(value) and low <= int(value) <= high:
            return int(value)
        raise self._mismatch(node, "int" if low else "uint")

    def number(self, node: Node) -> int | float:
        scalar, tag, value = self._scalar(node, "float64")
        if tag not in (INT, FLOAT):
            raise self._mismatch(node, "float64")
        return self._served(scalar, float(value))

    def decimal(self, node: Node) -> str:
        scalar, _, _ = self._scalar(node, "decimal.Decimal")
        try:
            return decimal(scalar.text)
        except ValueError as why:
            raise self.unfit(node, str(why), final=True) from why

    def time(self, node: Node) -> str:
        scalar, tag, value = self._scalar(node, "time.Time")
        if tag == TIME:
            return str(value)
        try:
            return scalars.rfc3339(scalar.text)
        except ValueError as why:
            raise self.unfit(node, str(why), final=True) from why

    def _scalar(self, node: Node, what: str) -> tuple[Scalar, str, Any]:
        if not isinstance(node, Scalar):
            raise self._mismatch(node, what)
        self._visit(node, 1)
        return node, *self._resolve(node)

    def _resolve(self, node: Scalar) -> tuple[str, Any]:
        """Tag and value; an explicit tag must fit the text."""
        if node.meaning is None:
            node.meaning = self._meaning(node)
        return node.meaning

    def _meaning(self, node: Scalar) -> tuple[str, Any]:
        if not node.tag:
            return scalars.resolve(node.text) if node.plain else (STR, node.text)
        if node.tag == STR:
            return STR, node.text
        if node.tag == _BINARY:
            return _BINARY, self._binary(node)
        tag, value = scalars.resolve(node.text)
        if tag == node.tag:
            return tag, value
        if node.tag == FLOAT and tag == INT:
            return FLOAT, float(value)
        raise self.unfit(node, f"yaml: line {node.line}: cannot decode {tag} `{node.text[:100]}` as a {node.tag}", final=True)

    def _binary(self, node: Scalar) -> str:
        try:
            return base64.b64decode("".join(node.text.splitlines()), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as why:
            raise self.unfit(node, f"yaml: line {node.line}: !!binary value contains invalid base64 data", final=True) from why

    # Any value

    def anything(self, node: Node) -> Any:
        return self._anything(node, top=True)

    def _anything(self, node: Node, *, top: bool = False) -> Any:
        self._visit(node, 1)
        if isinstance(node, ListNode):
            return [self._anything(item) for item in node.items]
        if isinstance(node, MappingNode):
            pairs = {self._key(key, top): value for key, value in self._pairs(node)}
            return {key: self._anything(pairs[key]) for key in sorted(pairs)}
        tag, value = self._resolve(node)
        return self._served(node, value) if tag == FLOAT else value

    def _key(self, key: Node, top: bool) -> str:
        """A key as text: its own at the top of a free object, the text of its value below (package-format 12.4, 25.18)."""
        if not isinstance(key, Scalar):
            raise self._mismatch(key, "string")
        self._visit(key, 1)
        tag, value = self._resolve(key)
        if tag == _BINARY:
            return str(value)
        if tag == FLOAT:
            value = self._served(key, value)
        return key.text if top or tag not in (INT, FLOAT, BOOL, NULL) else json.dumps(value)

    def _served(self, node: Scalar, value: float) -> int | float:
        try:
            return scalars.number(value)
        except ValueError as why:
            raise self.unfit(node, f"yaml: line {node.line}: {why}", final=True) from why

    # Errors and bounds

    def _mismatch(self, node: Node, what: str) -> Unfit:
        if isinstance(node, Scalar):
            tag, text = self._resolve(node)[0], node.text
            return self.unfit(node, f"cannot unmarshal {tag} `{text if len(text) <= 10 else text[:7] + '...'}` into {what}")
        return self.unfit(node, f"cannot unmarshal {'!!seq' if isinstance(node, ListNode) else '!!map'} into {what}")

    def _visit(self, node: Node, count: int) -> None:
        self._visits += count
        if isinstance(node, Scalar):
            self._characters += len(node.text)
            if self._characters > MAX_CHARACTERS:
                raise BadYaml(f"yaml: line {node.line}: the texts of the package are longer than {MAX_CHARACTERS} characters together")
        if self._visits > _FREE_VISITS + _VISITS_PER_NODE * self._composer.nodes:
            raise BadYaml(f"yaml: line {node.line}: document contains excessive aliasing")
