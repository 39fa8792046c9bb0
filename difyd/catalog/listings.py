"""What the console lists (http-api 14; state-and-cluster 5.11). JSON is put together from stored text, not decoded."""

from collections.abc import Sequence

from attrs import define, field, frozen

from difyd.catalog.declarations import Declarations
from difyd.entities.identifier import PluginIdentifier
from difyd.store.database import Database


@frozen
class Page:
    number: int
    size: int


@frozen
class Filter:
    """What narrows a category list; empty means everything."""

    query: str = ""
    tags: Sequence[str] = ()
    language: str = "en_US"


@define(eq=False)
class Listings:
    """All answers are the JSON of `data`. A row whose declaration is missing or broken is left out and logged."""

    _database: Database
    _declarations: Declarations

    async def installations(self, tenant: str, page: Page) -> bytes:
        """14.1"""
        raise NotImplementedError

    async def of_category(self, tenant: str, category: str, page: Page, wanted: Filter = field(factory=Filter)) -> bytes:
        """14.2. Raises BadRequest for a category that does not exist."""
        raise NotImplementedError

    async def ids_of_category(self, tenant: str, category: str) -> bytes:
        """14.3"""
        raise NotImplementedError

    async def batch(self, tenant: str, plugin_ids: Sequence[str]) -> bytes:
        """14.4"""
        raise NotImplementedError

    async def missing(self, tenant: str, identifiers: Sequence[PluginIdentifier]) -> bytes:
        """14.5"""
        raise NotImplementedError

    async def manifest(self, identifier: PluginIdentifier) -> bytes:
        """14.6. Raises BadRequest `plugin not found`."""
        raise NotImplementedError

    async def in_use(self, identifier: PluginIdentifier) -> bool:
        """14.7: has any tenant got it installed?"""
        raise NotImplementedError

    async def tools_exist(self, tenant: str, providers: Sequence[tuple[str, str]]) -> list[bool]:
        """14.9: for each (plugin id, provider), in order."""
        raise NotImplementedError

    async def providers(self, tenant: str, kind: str, page: Page) -> bytes:
        """14.11 and 14.13; `kind` as in the declaration: `tool`, `model`, ..."""
        raise NotImplementedError

    async def bindings(self, tenant: str) -> bytes:
        """14.12"""
        raise NotImplementedError

    async def provider(self, tenant: str, kind: str, plugin_id: str, provider: str) -> bytes:
        """14.14. Raises PluginNotFound."""
        raise NotImplementedError
