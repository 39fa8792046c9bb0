"""What becomes of an uploaded package or bundle (http-api 13.1, 13.2; state-and-cluster 5.2; package-format 18.5, 22.3)."""

from pathlib import Path

from attrs import define
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from difyd.catalog.areas import Areas
from difyd.catalog.declarations import Declarations
from difyd.store.blobs import IBlobs
from difyd.store.database import Database


@define(eq=False)
class Uploads:
    """
    Takes packages in: read, verified and decoded in one hop to `_pool`; then icons and package stored, then the row of the declaration.

    An upload that fails leaves neither package nor declaration behind that were not there before.
    """

    _reactor: IReactorFromThreads
    _pool: ThreadPool
    _blobs: IBlobs
    _areas: Areas
    _database: Database
    _declarations: Declarations

    async def package(self, path: Path, verify: bool) -> bytes:
        """
        Store the package in the file `path`; the JSON of http-api 13.1.

        `verify`: this request demands a signature. Raises BadPackage with the texts of package-format 21 and 23, StorageFailed.
        """
        raise NotImplementedError

    async def bundle(self, path: Path, verify: bool) -> bytes:
        """The same for a bundle, all or nothing; the JSON of http-api 13.2. Raises BadPackage, InternalError with the texts of package-format 22.3."""
        raise NotImplementedError
