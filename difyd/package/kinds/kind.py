"""What the daemon has to know of a kind of plugins besides its schema."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from difyd.package.schema.types import Type


@frozen
class Icon:
    """A place in a declaration that names an icon: the object, its member, and the words for errors (package-format 18.2)."""

    _holder: Any
    _member: str
    words: str

    @property
    def name(self) -> str:
        """The icon's name; empty when none is named."""
        return str(self._holder.get(self._member) or "")

    def replace(self, name: str) -> None:
        """Name another one there."""
        self._holder[self._member] = name


@frozen
class Kind:
    name: str
    """The member of a declaration that holds its provider."""
    files: str
    """The member of the manifest's `plugins` that lists provider files."""
    words: str
    """What a provider is called in errors."""
    provider: Type
    icons: Callable[[dict[str, Any]], Iterator[Icon]] = lambda _: iter(())
    complete: Callable[[dict[str, Any], Mapping[str, Any]], None] = lambda *_: None
    """Fill in what comes from the manifest, once everything is read (package-format 9)."""


def identity_icons(words: str, *, dark: bool = True) -> Callable[[dict[str, Any]], Iterator[Icon]]:
    """The icons that a provider's identity has."""

    def icons(provider: dict[str, Any]) -> Iterator[Icon]:
        yield Icon(provider["identity"], "icon", f"{words} icon")
        if dark:
            yield Icon(provider["identity"], "icon_dark", f"{words} icon dark")

    return icons


def inherit_identity(provider: dict[str, Any], manifest: Mapping[str, Any]) -> None:
    """A provider without an English description or without tags has the plugin's."""
    identity = provider["identity"]
    if not identity["description"]["en_US"]:
        identity["description"] = dict(manifest["description"])
    if not identity["tags"]:
        identity["tags"] = list(manifest["tags"])
