"""What a plugin under development hands in: its declarations and its icons, checked and bounded (debug-runtime 4, 6)."""

import binascii
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import msgspec
from attrs import define, field, frozen
from msgspec import DecodeError, Struct

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadPackage
from difyd.package.assets import Asset, Remapped
from difyd.runtime.debug.messages import NOTHING, TOO_MANY_ASSETS, Kind, Refusal

ASSETS: Final = 50 * 1024 * 1024
"""Bytes of all icons together."""
FILE: Final = 256
"""What a file costs beside its bytes and its name: a million files of one byte are not a megabyte."""
DECODED: Final = 8
"""A declaration in memory is so many times its text."""
ILLEGAL: Final = "register failed, invalid manifest detected"


class Declarations(Protocol):
    """The declaration as it grows: `difyd.package.registration.Registration`. Pure, and slow for a large plugin."""

    def declare_manifest(self, data: bytes) -> None:
        """Raises BadPackage, like the others."""

    def declare_providers(self, kind: str, data: bytes) -> None: ...

    @property
    def identity(self) -> str: ...

    def remap(self, assets: Mapping[str, bytes]) -> Remapped: ...

    def check(self) -> None: ...


class _Chunk(Struct, frozen=True):
    filename: str = ""
    data: str = ""


_chunk = msgspec.json.Decoder(_Chunk)


@define(eq=False)
class Assets(Mapping[str, bytes]):
    """The icons that have arrived, in pieces or whole."""

    _files: dict[str, bytearray] = field(factory=dict, init=False)
    _decoded: int = field(default=0, init=False)
    weight: int = field(default=0, init=False)
    """Bytes of memory, as near as it matters."""

    def add(self, data: bytes) -> None:
        """Take the `data` of one `asset_chunk`. Pieces of one name are joined in the order in which they come. Raises Refusal."""
        try:
            chunk = _chunk.decode(data)
        except (DecodeError, UnicodeDecodeError) as why:
            raise Refusal(f"transfer assets failed, error: {why}") from why
        if not chunk.filename:
            raise Refusal("transfer assets failed, error: filename is missing")
        if not chunk.data:
            raise Refusal(f"transfer assets failed, error: {chunk.filename}: data is missing")
        if self._decoded + len(chunk.data) > ASSETS or self.weight + FILE + len(chunk.filename) > 2 * ASSETS:
            raise Refusal(TOO_MANY_ASSETS)
        try:
            piece = binascii.a2b_base64(chunk.data, strict_mode=True)
        except ValueError as why:
            raise Refusal(f"assets decode failed, error: {chunk.filename}: {why}") from why
        if chunk.filename not in self._files:
            self._files[chunk.filename] = bytearray()
            self.weight += FILE + len(chunk.filename)
        self._files[chunk.filename] += piece
        self._decoded += len(piece)
        self.weight += len(piece)

    def __getitem__(self, name: str) -> bytes:
        return bytes(self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@frozen
class Complete:
    """A plugin that may be shown: its name in this tenant, its declaration as it is stored and served, the icons to store with it."""

    tenant: str
    identifier: PluginIdentifier
    declaration: Declaration
    assets: tuple[Asset, ...] = field(repr=False)


@define(eq=False)
class Submission:
    """
    Everything that one connection has handed in for its tenant.

    Used by one thread at a time: the methods that end in `_blocking` may take a while for a large plugin, the rest does not.
    """

    tenant: str
    _declarations: Declarations
    plugin_id: str = field(default="", init=False)
    """`author/name` as the manifest says, before it has been checked that these make an identifier."""
    weight: int = field(default=0, init=False)
    """Bytes of memory, as near as it matters."""
    _seen: set[str] = field(factory=set, init=False)
    _assets: Assets = field(factory=Assets, init=False)

    def add_asset(self, data: bytes) -> None:
        """Take one piece of an icon. Raises Refusal."""
        before = self._assets.weight
        self._assets.add(data)
        self.weight += self._assets.weight - before

    def expect(self, data: bytes) -> None:
        """This declaration is about to be looked at. It may wait long for its turn, so it counts from now on."""
        self.weight += DECODED * len(data)

    def declare_blocking(self, kind: Kind, data: bytes) -> None:
        """
        Take a manifest or a list of providers: all of them are checked, the first one counts. Raises Refusal.

        Each kind may come once; an empty list counts.
        """
        if kind.name in self._seen:
            raise Refusal(kind.twice)
        self._seen.add(kind.name)
        try:
            if kind.name == "manifest":
                self._declarations.declare_manifest(data)
                self.plugin_id, _, _ = self._declarations.identity.partition(":")
            else:
                self._declarations.declare_providers(kind.name, data)
        except BadPackage as why:
            raise Refusal(f"{kind.invalid}: {why}") from why

    def complete_blocking(self) -> Complete:
        """
        The end of the registration: icons are looked up, defaults filled in, the rules across fields checked (6, steps 2 to 6).

        Raises Refusal.
        """
        if not self._seen - {"manifest"}:
            raise Refusal(NOTHING)
        if "manifest" not in self._seen:
            raise Refusal(f"{ILLEGAL}: there was no manifest_declaration")
        try:
            remapped = self._declarations.remap(self._assets)
        except BadPackage as why:
            raise Refusal(f"assets remap failed, invalid assets data, cannot remap: {why}") from why
        try:
            self._declarations.check()
        except BadPackage as why:
            raise Refusal(f"{ILLEGAL}: {why}") from why
        declaration = Declaration.decode(remapped.declaration)
        return Complete(self.tenant, identify(self.tenant, declaration), declaration, remapped.assets)


def identify(tenant: str, declaration: Declaration) -> PluginIdentifier:
    """
    The name of a debug build: what it calls itself, and a checksum of its declaration and its tenant (6, step 5).

    Other code under the same declaration keeps it; another declaration, another icon, another tenant makes another one.
    """
    view = declaration.view
    checksum = hashlib.sha256(declaration.text + tenant.encode()).hexdigest()
    return PluginIdentifier.parse(f"{view.author}/{view.name}:{view.version}@{checksum}")
