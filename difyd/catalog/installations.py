"""Which version of a plugin a tenant uses: what every call asks first."""

from attrs import define
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime

from difyd.catalog.declarations import Declarations
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation
from difyd.store.database import Database
from difyd.store.interfaces import IMessages

LIFE = 30 * 60.0
"""Seconds that an entry lives at most (http-api 21); a change drops it at once, here and by a message on every other node."""


@define(eq=False)
class Installations(Service):
    """The installations, from memory in the steady state. Misses are not kept: an install is seen by the very next call."""

    _clock: IReactorTime
    _database: Database
    _messages: IMessages
    _declarations: Declarations

    async def find(self, tenant: str, plugin_id: str) -> Installation:
        """Returns without a turn of the reactor when it is in memory. Raises PluginNotFound."""
        raise NotImplementedError

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        """Likewise. Raises PluginNotFound."""
        return await self._declarations.get(identifier)

    def changed(self, tenant: str, plugin_id: str, gone: str = "") -> None:
        """
        After a commit: the tenant's version of this plugin is another one, or none. Forgotten here at once, elsewhere within moments.

        `gone` is the identifier that nobody uses any more; its declaration is forgotten too.
        """
        raise NotImplementedError
