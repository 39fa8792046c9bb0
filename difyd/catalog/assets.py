"""Icons, and other files of packages (http-api 15; package-format 18.4)."""

from attrs import define
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from difyd.catalog.areas import Areas
from difyd.entities.identifier import PluginIdentifier
from difyd.store.blobs import IBlobs


@define(eq=False)
class Assets:
    """Bytes of icons and of files in stored packages, behind two bounded memories."""

    _reactor: IReactorFromThreads
    _pool: ThreadPool
    _blobs: IBlobs
    _areas: Areas
    _icons: int
    """`PLUGIN_MEDIA_CACHE_SIZE`"""
    _files: int
    """`PLUGIN_ASSET_CACHE_SIZE`"""

    async def icon(self, asset_id: str) -> bytes:
        """Raises NotFound, also for what is no id."""
        raise NotImplementedError

    async def file(self, identifier: PluginIdentifier, path: str) -> bytes:
        """The file `path` below `_assets` of a stored package. Raises NotFound; InternalError when the package is missing or unreadable."""
        raise NotImplementedError
