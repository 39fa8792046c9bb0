"""The files of plugins, as the supervisor and the installs need them."""

from pathlib import Path

from attrs import define
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from difyd.catalog.areas import Areas
from difyd.catalog.declarations import Declarations
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.interfaces import IPackages
from difyd.store.blobs import IBlobs
from difyd.store.database import Database


@implementer(IPackages)
@define(eq=False)
class Packages:
    """Uploaded packages and installed copies."""

    _reactor: IReactorFromThreads
    _pool: ThreadPool
    _blobs: IBlobs
    _areas: Areas
    _database: Database
    _declarations: Declarations

    async def installed(self) -> list[PluginIdentifier]:
        """See IPackages. Raises StorageFailed when the storage could not be asked: that is not "none"."""
        raise NotImplementedError

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        """See IPackages."""
        raise NotImplementedError

    async def fetch(self, identifier: PluginIdentifier, destination: Path) -> None:
        """See IPackages."""
        raise NotImplementedError

    async def mark_installed(self, identifier: PluginIdentifier) -> None:
        """Copy the package to the installed area. Raises StorageFailed."""
        raise NotImplementedError

    async def unmark(self, identifier: PluginIdentifier) -> None:
        """Delete the installed copy; nothing happens when there is none. Raises StorageFailed."""
        raise NotImplementedError
