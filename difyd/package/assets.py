"""Icons: the places that name them, and the ids that take the names' place (package-format 18)."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import msgspec
from attrs import field, frozen

from difyd.package.archive import Archive
from difyd.package.errors import MissingIcon
from difyd.package.kinds import BY_NAME
from difyd.package.kinds.kind import Icon

FOLDER: Final = "_assets/"
_ORDER: Final = ("model", "tool", "agent_strategy", "datasource", "trigger")


@frozen
class Asset:
    """A file that a declaration refers to, under the id by which clients fetch it (package-format 18.1)."""

    id: str
    content: bytes = field(repr=False)


@frozen
class Remapped:
    """A declaration as it is stored and served: icon names replaced by asset ids, and the assets that must be stored with it."""

    declaration: bytes = field(repr=False)
    assets: tuple[Asset, ...]


def asset_id(name: str, content: bytes) -> str:
    """The id of a file below `_assets/`: the hash of content and name, then the name's extension, by which clients tell its type."""
    *_, last = name.split("/")
    dot = last.rfind(".")
    return hashlib.sha256(content + name.encode("utf-8", "surrogateescape")).hexdigest() + (last[dot:] if dot >= 0 else "")


def icons(declaration: Mapping[str, Any]) -> Iterator[Icon]:
    """The places that name an icon, those of providers first; a place that is empty or not there names none."""
    for kind in _ORDER:
        if kind in declaration:
            yield from (icon for icon in BY_NAME[kind].icons(declaration[kind]) if icon.name)
    for member, words in (("icon", "plugin icon"), ("icon_dark", "plugin dark icon")):
        if declaration[member]:
            yield Icon(declaration, member, words)


def remap(declaration: Mapping[str, Any], find: Callable[[str], bytes | None]) -> Remapped:
    """`declaration` with every icon replaced by the id of the asset that `find` has for it. Raises MissingIcon."""
    changed = deepcopy(dict(declaration))
    assets: dict[str, Asset] = {}
    for icon in icons(changed):
        if icon.name not in assets:
            content = find(icon.name)
            if content is None:
                raise MissingIcon(icon.name, icon.words)
            assets[icon.name] = Asset(asset_id(icon.name, content), content)
        icon.replace(assets[icon.name].id)
    return Remapped(msgspec.json.encode(changed), tuple(assets.values()))


def find_asset(archive: Archive, name: str) -> bytes | None:
    """The content of the file whose raw name is `_assets/<name>`, or None. Raises UnreadablePackage."""
    raw = FOLDER + name
    entry = next((entry for entry in archive.entries if entry.raw == raw), None)
    return None if entry is None else b"".join(archive.stream(entry))
