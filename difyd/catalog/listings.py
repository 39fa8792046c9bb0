"""
What the console lists (http-api 14; state-and-cluster 5.11).

The store finds the records, with declarations as the text that it keeps; here they become the JSON of the wire, on the thread that read
them, so that the reactor sees nothing but finished bytes.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Concatenate, Final, ParamSpec

import msgspec
from attrs import define, frozen
from twisted.logger import Logger

from difyd.catalog.declarations import Declarations
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadRequest, PluginNotFound
from difyd.store.database import changes, installations, listings
from difyd.store.database.engine import Database, Transaction
from difyd.store.database.listings import CATEGORIES, Filter
from difyd.store.database.records import Page
from difyd.wire.text import Pieces

P = ParamSpec("P")

EVERYTHING: Final = Filter()


@frozen
class _Found:
    json: Pieces
    broken: tuple[str, ...] = ()


@define(eq=False)
class Listings:
    """
    All answers are the JSON of `data`, those that may be megabytes in pieces.

    A row whose declaration is missing or broken is left out and logged.
    """

    log = Logger()
    _database: Database
    _declarations: Declarations

    async def installed(self, tenant: str, page: int, size: int) -> Pieces:
        """14.1"""
        return await self._listed(_with_total, listings.installed_blocking, tenant, page, size)

    async def of_category(self, tenant: str, category: str, page: int, size: int, wanted: Filter = EVERYTHING) -> Pieces:
        """14.2. Raises BadRequest for a category that does not exist."""
        return await self._listed(_with_more, listings.category_blocking, tenant, _category(category), page, size, wanted)

    async def ids_of_category(self, tenant: str, category: str) -> bytes:
        """14.3. Likewise."""
        ids = await self._database.read(listings.plugin_ids_blocking, tenant, _category(category))
        return msgspec.json.encode({"plugin_ids": ids})

    async def batch(self, tenant: str, plugin_ids: Sequence[str]) -> Pieces:
        """14.4"""
        return await self._listed(_records, listings.batch_blocking, tenant, tuple(plugin_ids))

    async def missing(self, tenant: str, identifiers: Sequence[PluginIdentifier]) -> bytes:
        """14.5"""
        return msgspec.json.encode(await self._database.read(listings.missing_blocking, tenant, identifiers))

    async def manifest(self, identifier: PluginIdentifier) -> bytes:
        """14.6. Raises BadRequest, which is how the console learns that a package has not been uploaded."""
        try:
            return (await self._declarations.get(identifier)).text
        except PluginNotFound as why:
            raise BadRequest(str(why)) from why

    async def in_use(self, identifier: PluginIdentifier) -> bool:
        """14.7: has any tenant got it installed?"""
        return await self._database.read(installations.in_use_blocking, identifier)

    async def tools_exist(self, tenant: str, providers: Sequence[tuple[str, str]]) -> bytes:
        """14.9: a list of bool, for each (plugin id, provider) in order."""
        return msgspec.json.encode(await self._database.read(listings.tools_exist_blocking, tenant, providers))

    async def providers(self, tenant: str, kind: str, page: int, size: int) -> Pieces:
        """14.11 and 14.13; `kind` as in the declaration: `tool`, `model`, ..."""
        return await self._listed(_records, listings.providers_blocking, tenant, kind, page, size)

    async def bindings(self, tenant: str) -> Pieces:
        """14.12"""
        return await self._listed(_encoded, listings.bindings_blocking, tenant)

    async def provider(self, tenant: str, kind: str, plugin_id: str, provider: str) -> bytes:
        """14.14. Raises PluginNotFound."""
        found = await self._database.read(listings.provider_blocking, tenant, kind, plugin_id, provider)
        if found is None:
            raise PluginNotFound
        return msgspec.json.encode(found)

    async def _listed(
        self,
        shape: Callable[[Page[Any]], Pieces],
        look: Callable[Concatenate[Transaction, P], Page[Any]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Pieces:
        def work_blocking(transaction: Transaction) -> _Found:
            number = changes.number_blocking(transaction.connection)
            asked = (number, look, args, tuple(kwargs.items()))
            [kept] = transaction.memory.pages.get([asked]) if number is not None else [None]
            if kept is not None:
                return _Found(kept)
            page = look(transaction, *args, **kwargs)
            found = _Found(shape(page), page.broken)
            if number is not None and not found.broken:  # what is broken is logged each time
                transaction.memory.pages.put(asked, found.json)
            return found

        found = await self._database.read(work_blocking)
        for identifier in found.broken:
            self.log.error("{identifier} is left out of a list: its declaration cannot be read", identifier=identifier)
        return found.json


def _with_total(page: Page[Any]) -> Pieces:
    return b'{"list":', *_records(page), b',"total":%d}' % page.total


def _with_more(page: Page[Any]) -> Pieces:
    return b'{"list":', *_records(page), b',"has_more":%b}' % (b"true" if page.more else b"false")


def _records(page: Page[Any]) -> Pieces:
    """Of a kind that shows declarations."""
    if not page.records:
        return (b"[]",)
    first, *others = page.records
    return b"[", *first.pieces, *chain.from_iterable((b",", *record.pieces) for record in others), b"]"


def _encoded(page: Page[Any]) -> Pieces:
    """Of a kind that does not."""
    return (msgspec.json.encode(page.records),)


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise BadRequest(f"invalid plugin category: {name}")
    return name
