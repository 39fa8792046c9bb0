"""What stored packages hold: their declaration as they have it, readmes, files (http-api 14.8, 14.10, 15; package-format 18.4, 19)."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from attrs import define, field
from msgspec import Raw

from difyd.catalog.areas import NOT_UPLOADED, Areas
from difyd.catalog.joined import Joined
from difyd.catalog.lru import Lru
from difyd.catalog.scratch import Scratch
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadPackage, BadRequest, InternalError, NotFound, StorageFailed
from difyd.package.reader import Package, read_asset_blocking, read_package_blocking, read_readmes_blocking
from difyd.package.signature import Keys
from difyd.store.blobs import BlobMissing, IBlobs
from difyd.store.database import readmes
from difyd.store.database.engine import Database
from difyd.store.threads import Threads

T = TypeVar("T")

ENGLISH: Final = "en_US"
KEPT: Final = 64 * 1024 * 1024
"""Bytes of extracted files that stay in memory, however many there are."""
LONGEST: Final = 1024
"""Characters of a path that is remembered as missing."""


class _Readme(msgspec.Struct, frozen=True):
    content: str
    language: str


def decoded(package: Package, manifest: bytes) -> bytes:
    """The JSON of an upload's or a decode's answer (http-api 13.1, 14.10)."""
    verification = None if package.verification is None else package.verification.to_json()
    return msgspec.json.encode({"unique_identifier": str(package.identifier), "manifest": Raw(manifest), "verification": verification})


@define(eq=False)
class Contents:
    """Reads stored packages on a thread, from a file of our own. Whoever asks for the same at the same time shares one reading."""

    _threads: Threads
    _blobs: IBlobs
    _areas: Areas
    _keys: Keys
    _database: Database
    _scratch: Scratch
    _most: int
    """Extracted files that stay in memory (`PLUGIN_ASSET_CACHE_SIZE`)."""
    _files: Lru[tuple[PluginIdentifier, str], bytes] = field(init=False)
    _absent: Lru[tuple[PluginIdentifier, str], bool] = field(init=False)
    """Those that packages do not have: to look again would take the whole package apart, which is the same each time."""
    _extracting: Joined[tuple[PluginIdentifier, str], bytes | None] = field(factory=Joined, init=False)
    _decoding: Joined[PluginIdentifier, Package] = field(factory=Joined, init=False)
    _reading: Joined[PluginIdentifier, dict[str, str]] = field(factory=Joined, init=False)

    def __attrs_post_init__(self) -> None:
        self._files, self._absent = Lru(self._most, KEPT, len), Lru(self._most)

    async def decoded(self, identifier: PluginIdentifier) -> bytes:
        """`{"unique_identifier", "manifest", "verification"}`; icons are file names. Raises BadRequest: not stored, or unreadable."""
        try:
            package = await self._decoding.ask(identifier, lambda: self._decode(identifier))
        except BlobMissing as why:
            raise BadRequest(NOT_UPLOADED) from why
        if package.identifier != identifier:
            raise BadRequest(f"plugin unique identifier mismatch: the stored package is {package.identifier}")
        return decoded(package, package.declaration)

    async def is_verified(self, identifier: PluginIdentifier) -> bool:
        """Does somebody trusted vouch for the stored package, as it lies there now?"""
        try:
            package = await self._decoding.ask(identifier, lambda: self._decode(identifier))
        except (BadPackage, BlobMissing):
            return False
        return package.verification is not None

    async def readme(self, identifier: PluginIdentifier, language: str) -> bytes:
        """`{"content", "language"}`: that language, else English, else any. Raises NotFound, InternalError when the package cannot be read."""
        contents = await self._database.read(readmes.get_blocking, identifier)
        if not contents:
            try:
                contents = await self._reading.ask(identifier, lambda: self._read(identifier))
            except BlobMissing as why:
                raise InternalError(f"failed to get readme from database: {NOT_UPLOADED}") from why
            except (BadPackage, StorageFailed) as why:
                raise InternalError(f"failed to get readme from database: {why}") from why
        for found in (language, ENGLISH, *contents):
            if found in contents:
                return msgspec.json.encode(_Readme(contents[found], found))
        raise NotFound("no readme content available for this plugin")

    async def file(self, identifier: PluginIdentifier, path: str) -> bytes:
        """The file of exactly this path below `_assets/`. Raises NotFound; InternalError when the package is missing or unreadable."""
        key = (identifier, path)
        content = self._files.get(key)
        if content is not None:
            return content
        try:
            content = (
                None
                if self._absent.get(key)
                else await self._extracting.ask(key, lambda: self._with(identifier, lambda file: read_asset_blocking(file, path)))
            )
        except BlobMissing as why:
            raise InternalError(NOT_UPLOADED) from why
        except BadPackage as why:
            raise InternalError(str(why)) from why
        if content is None:
            if len(path) <= LONGEST:
                self._absent.put(key, True)
            raise NotFound(f"{identifier} has no asset {path}")
        self._files.put(key, content)
        return content

    async def _decode(self, identifier: PluginIdentifier) -> Package:
        return await self._with(identifier, lambda path: read_package_blocking(path, keys=self._keys))

    async def _read(self, identifier: PluginIdentifier) -> dict[str, str]:
        return await self._database.run(readmes.add_blocking, identifier, await self._with(identifier, read_readmes_blocking))

    async def _with(self, identifier: PluginIdentifier, work: Callable[[Path], T]) -> T:
        """Raises BlobMissing; what `work` raises; StorageFailed for OSError."""
        path = self._scratch.path()
        await self._blobs.fetch(self._areas.package(identifier), path)
        try:
            return await self._threads.run(_use_blocking, work, path)
        except OSError as why:
            raise StorageFailed(f"the package of {identifier} cannot be read: {why}") from why


def _use_blocking(work: Callable[[Path], T], path: Path) -> T:
    try:
        return work(path)
    finally:
        path.unlink(missing_ok=True)
