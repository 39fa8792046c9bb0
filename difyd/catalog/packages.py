"""The files of plugins, as the supervisor and the installs need them."""

from pathlib import Path

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from difyd.catalog.areas import NOT_UPLOADED, Areas
from difyd.catalog.declarations import Declarations
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import BadIdentifier, StorageFailed
from difyd.runtime.interfaces import IPackages
from difyd.store.blobs import BlobMissing, IBlobs
from difyd.store.database import installations
from difyd.store.database.engine import Database


@implementer(IPackages)
@define(eq=False)
class Packages:
    """Uploaded packages and installed copies (state-and-cluster 10.3, local-runtime 3.3)."""

    log = Logger()
    _blobs: IBlobs
    _areas: Areas
    _database: Database
    _declarations: Declarations

    async def installed(self) -> list[PluginIdentifier]:
        """See IPackages. Raises StorageFailed or DatabaseFailed when one of the two cannot be asked: that is not "none"."""
        copies = set(await self.copies())
        wanted = await self._database.read(installations.identifiers_blocking, RuntimeType.LOCAL)
        return [identifier for identifier in wanted if identifier in copies]

    async def in_use(self, identifier: PluginIdentifier) -> bool:
        """See IPackages. Raises DatabaseFailed."""
        return await self._database.read(installations.in_use_blocking, identifier)

    async def named(self) -> set[PluginIdentifier]:
        """See IPackages. Raises DatabaseFailed."""
        return await self._database.read(installations.named_blocking)

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        """See IPackages."""
        return await self._declarations.get(identifier)

    async def fetch(self, identifier: PluginIdentifier, destination: Path) -> None:
        """See IPackages."""
        try:
            await self._blobs.fetch(self._areas.package(identifier), destination)
        except BlobMissing:
            try:
                await self._blobs.fetch(self._areas.copy(identifier), destination)
            except BlobMissing as why:
                raise StorageFailed(NOT_UPLOADED) from why

    async def copies(self) -> list[PluginIdentifier]:
        """What lies in the installed area; other names there are passed over."""
        found = []
        for name in await self._blobs.list(self._areas.installed):
            try:
                found.append(PluginIdentifier.parse(name))
            except BadIdentifier:
                self.log.warn("{name} in the area of installed plugins is no plugin", name=name)
        return found

    async def mark_installed(self, identifier: PluginIdentifier) -> None:
        """Copy the package to the installed area: together with a `plugins` row that means "run me" to every node. Raises StorageFailed."""
        copy = self._areas.copy(identifier)
        try:
            await self._blobs.copy(self._areas.package(identifier), copy)
        except BlobMissing as why:
            if not await self._blobs.exists(copy):
                raise StorageFailed(NOT_UPLOADED) from why

    async def unmark_installed(self, identifier: PluginIdentifier) -> None:
        """Delete the installed copy; nothing happens when there is none. Raises StorageFailed."""
        await self._blobs.delete(self._areas.copy(identifier))
