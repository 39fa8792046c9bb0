"""Declarations of uploaded plugins, decoded once and kept."""

from attrs import define, field
from msgspec import DecodeError
from twisted.logger import Logger

from difyd.catalog.joined import Joined
from difyd.catalog.lru import Lru
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import InternalError, PluginNotFound
from difyd.store.database import declarations
from difyd.store.database.engine import Database

KEPT = 32 * 1024 * 1024
"""Bytes of JSON that stay in memory, all declarations together; with what was decoded of them up to twice that."""
ENTRIES = 4096


@define(eq=False)
class Declarations:
    """
    The declarations of the store behind a bounded memory.

    The declaration of an identifier changes only when a signed copy is uploaded later, so an entry lives until it is dropped, or pushed
    out by others.
    """

    log = Logger()
    _database: Database
    _kept: Lru[PluginIdentifier, Declaration] = field(factory=lambda: Lru(ENTRIES, KEPT, lambda kept: len(kept.text)))
    _loading: Joined[PluginIdentifier, Declaration] = field(factory=Joined, init=False)
    _stale: set[PluginIdentifier] = field(factory=set, init=False)

    async def get(self, identifier: PluginIdentifier) -> Declaration:
        """Returns without a turn of the reactor when it is in memory. Raises PluginNotFound; InternalError when the row is broken."""
        found = self._kept.get(identifier)
        if found is None:
            found = await self._loading.ask(identifier, lambda: self._load(identifier))
        return found

    def drop(self, identifier: PluginIdentifier) -> None:
        """The row has gone or changed."""
        self._kept.drop(identifier)
        if self._loading.running(identifier):
            self._stale.add(identifier)

    async def _load(self, identifier: PluginIdentifier) -> Declaration:
        while True:
            self._stale.discard(identifier)
            text = await self._database.read(declarations.get_blocking, identifier)
            if identifier not in self._stale:  # else it was dropped while we read: what we have may be the old row
                break
        if text is None:
            raise PluginNotFound
        try:
            declaration = Declaration.decode(text)
        except DecodeError as why:
            self.log.error("the stored declaration of {identifier} cannot be read: {why}", identifier=str(identifier), why=str(why))
            raise InternalError(f"the stored declaration of {identifier} cannot be read: {why}") from why
        self._kept.put(identifier, declaration)
        return declaration
