"""What a file says of other files: paths of items, to be read after it (package-format 9)."""

from collections.abc import Iterator
from typing import Any, Protocol

from attrs import field, frozen

from difyd.package.documents.source import Node, Problem, Source
from difyd.package.schema.types import Record, Type, read_all, under


class FileReader(Protocol):
    """The files of a package, as references follow them."""

    def value(self, path: str, kind: Type, words: str, *, provider: bool = False) -> Any:
        """
        Read and parse the file at `path` as `kind`, then follow what it refers to.

        Raises UnreadablePackage with the cause and `failed to read|unmarshal <words> file: <path>` (`... plugin file ...` for a provider).
        """

    def names(self) -> list[str]:
        """The paths of all files, in the package's order."""


class Reference(Protocol):
    """Something that a file refers to and that belongs into its value."""

    def follow(self, files: FileReader) -> None:
        """Put it there. Raises UnreadablePackage."""


@frozen
class ItemReference:
    """A file with one item of a list."""

    path: str
    kind: Type
    words: str
    into: list[Any] = field(repr=False)

    def follow(self, files: FileReader) -> None:
        self.into.append(files.value(self.path, self.kind, self.words))


@frozen
class Items:
    """A list whose items are written in place, or are paths of files: first the former, then the latter, each in their order."""

    item: Record
    words: str
    """What an item is called in errors."""
    lenient: bool = False
    """In files, ignore what is no list (package-format 11.1)."""

    def read(self, source: Source, node: Node) -> list[Any]:
        if self.lenient and source.has_files and not source.is_list(node):
            return []
        items: list[Any] = []
        references: list[Reference] = []

        def read(node: Node) -> Any:
            if source.is_mapping(node):
                return self.item.read(source, node)
            path = None if source.is_null(node) else source.path(node)
            if path is not None:
                references.append(ItemReference(path, self.item, self.words, items))
            return None

        items += read_all(source.items(node, "list"), read)
        source.references.extend(references)
        return items

    def empty(self) -> list[Any]:
        return []

    def check(self, value: Any) -> Iterator[Problem]:
        for index, item in enumerate(value or ()):
            yield from under(f"[{index}]", self.item.check(item))
