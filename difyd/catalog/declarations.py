"""Declarations of uploaded plugins, decoded once and kept."""

from collections.abc import Collection

from attrs import define

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.store.database import Database

KEPT = 48 * 1024 * 1024
"""Bytes of JSON that stay in memory, all declarations together; about twice that in all."""


@define(eq=False)
class Declarations:
    """
    The `plugin_declarations` table behind a bounded memory.

    The declaration of an identifier does not change while its row is there, except `verified` when a signed copy is uploaded later, so an
    entry lives until it is dropped, or pushed out by others.
    """

    _database: Database
    _kept: int = KEPT

    async def get(self, identifier: PluginIdentifier) -> Declaration:
        """Returns without a turn of the reactor when it is in memory. Raises PluginNotFound."""
        raise NotImplementedError

    async def get_many(self, identifiers: Collection[str]) -> dict[str, Declaration]:
        """By identifier text; those without a row, or with one that cannot be read (logged), are left out. One query at most."""
        raise NotImplementedError

    def drop(self, identifier: str) -> None:
        """The row has gone or changed."""
        raise NotImplementedError
