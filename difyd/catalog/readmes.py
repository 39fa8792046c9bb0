"""Readmes (http-api 14.8; package-format 19), and the declaration as the package itself has it (http-api 14.10)."""

from attrs import define
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from difyd.catalog.areas import Areas
from difyd.entities.identifier import PluginIdentifier
from difyd.store.blobs import IBlobs
from difyd.store.database import Database


@define(eq=False)
class Contents:
    """Reads stored packages on a thread."""

    _reactor: IReactorFromThreads
    _pool: ThreadPool
    _blobs: IBlobs
    _areas: Areas
    _database: Database

    async def readme(self, identifier: PluginIdentifier, language: str) -> bytes:
        """`{"content", "language"}`: that language, else `en_US`, else any. Raises NotFound, InternalError (the package cannot be read)."""
        raise NotImplementedError

    async def decoded(self, identifier: PluginIdentifier) -> bytes:
        """`{"unique_identifier", "manifest", "verification"}`; icons are file names. Raises BadRequest."""
        raise NotImplementedError
