"""
A YAML file as a tree whose scalars keep their text (package-format 4).

libyaml parses; what its events mean is decided later, by the type that is wanted. The tree is bounded while it grows: depth, and the number of
nodes over all files of a package. An alias is the anchored node itself, so that a bomb costs nothing here; what reading it would cost is the
reader's to count (`difyd.package.documents.yaml_source`).
"""

from collections.abc import Iterable
from typing import Any, Final

import yaml
from attrs import define, field

MAX_DEPTH: Final = 256
MAX_NODES: Final = 200_000
"""Four times what the largest known plugin has."""
MERGE: Final = "!!merge"
_PREFIX: Final = "tag:yaml.org,2002:"
_SKIPPED: Final = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent, yaml.StreamEndEvent)


class BadYaml(Exception):
    """The file is no YAML, or more of it than we take. The text begins with `yaml:`."""


@define(eq=False)
class Scalar:
    line: int
    text: str
    tag: str
    """Short form (`!!str`), of what was written before the value; empty when nothing was."""
    plain: bool
    """Without quotes, not a block."""
    height: int = field(default=0, init=False)
    meaning: tuple[str, Any] | None = field(default=None, init=False)
    """Tag and value, once somebody has looked."""

    @property
    def merges(self) -> bool:
        """Is it the key `<<`?"""
        return self.text == "<<" and (self.tag == MERGE or (not self.tag and self.plain))


@define(eq=False)
class ListNode:
    line: int
    items: list["Node"] = field(factory=list, init=False)
    height: int = field(default=0, init=False)


@define(eq=False)
class MappingNode:
    line: int
    pairs: list[tuple["Node", "Node"]] = field(factory=list, init=False)
    height: int = field(default=0, init=False)


Node = Scalar | ListNode | MappingNode


@define(eq=False)
class _Open:
    """A collection whose end has not come yet."""

    node: ListNode | MappingNode
    anchor: str | None
    key: Node | None = field(default=None, init=False)

    def add(self, child: Node) -> None:
        if self.node.height <= child.height:
            self.node.height = child.height + 1
        if isinstance(self.node, ListNode):
            self.node.items.append(child)
        elif self.key is None:
            self.key = child
        else:
            self.node.pairs.append((self.key, child))
            self.key = None


@define(eq=False)
class Composer:
    """Makes trees out of the files of one package; together they have at most MAX_NODES nodes."""

    nodes: int = field(default=0, init=False)

    def compose(self, data: bytes) -> Node | None:
        """The first document in `data`, None when there is none. Raises BadYaml."""
        try:
            return self._document(yaml.parse(data, Loader=yaml.CBaseLoader))
        except yaml.MarkedYAMLError as why:
            raise BadYaml(_words(why)) from why
        except yaml.YAMLError as why:  # an encoding or a character that YAML does not have
            raise BadYaml(f"yaml: {' '.join(str(why).split())}") from why
        except (UnicodeError, ValueError) as why:
            raise BadYaml(f"yaml: {why}") from why

    def _document(self, events: Iterable[yaml.Event]) -> Node | None:
        anchors: dict[str | None, Node] = {}
        stack: list[_Open] = []
        for event in events:
            if isinstance(event, _SKIPPED):
                continue
            line = event.start_mark.line + 1 if event.start_mark else 0
            done: Node
            if isinstance(event, yaml.ScalarEvent):
                self._count(line)
                done, anchor = Scalar(line, event.value, _short(event.tag), not event.style), event.anchor
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._count(line)
                _check_depth(line, len(stack))
                stack.append(_Open(ListNode(line) if isinstance(event, yaml.SequenceStartEvent) else MappingNode(line), event.anchor))
                anchors.pop(event.anchor, None)  # until its end an alias to it would be a part of itself
                continue
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    raise BadYaml(f"yaml: line {line}: unknown anchor '{event.anchor}' referenced")
                done, anchor = anchors[event.anchor], None
            else:
                opened = stack.pop()
                done, anchor = opened.node, opened.anchor
            _check_depth(line, len(stack) + done.height)
            if anchor is not None:
                anchors[anchor] = done
            if not stack:
                return done  # the first document is the only one that counts
            stack[-1].add(done)
        return None

    def _count(self, line: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadYaml(f"yaml: line {line}: the files of the package have more than {MAX_NODES} values together")


def _check_depth(line: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadYaml(f"yaml: line {line}: nested more than {MAX_DEPTH} levels deep")


def _short(tag: str | None) -> str:
    if tag is None or tag == "!":
        return ""
    return "!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag


def _words(why: yaml.MarkedYAMLError) -> str:
    mark = why.problem_mark
    where = "" if mark is None else f"line {mark.line + 1}: "
    context = f" {why.context}" if why.context else ""
    return f"yaml: {where}{why.problem or 'broken'}{context}"
