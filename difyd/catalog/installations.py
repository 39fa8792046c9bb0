"""Which version of a plugin a tenant uses: what every call asks first."""

from collections.abc import Callable

import msgspec
from attrs import frozen
from msgspec import Struct
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.declarations import Declarations
from difyd.catalog.joined import Joined
from difyd.catalog.lru import Lru
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation
from difyd.errors import BadIdentifier, InternalError, PluginNotFound
from difyd.store.cache.interfaces import IMessages, Unsubscribe
from difyd.store.database import installations
from difyd.store.database.engine import Database

LIFE = 30 * 60.0
"""Seconds that an entry lives at most (http-api 21); a change drops it at once, here and by a message on every other node."""
ENTRIES = 65536
CHANNEL = "installations"


class Changed(Struct, frozen=True, omit_defaults=True):
    """The message to all nodes: forget what you know of this."""

    tenant: str = ""
    plugin_id: str = ""
    declaration: str = ""
    """An identifier whose declaration has gone or changed; may stand alone."""


_message = msgspec.json.Decoder(Changed)


@frozen
class _Known:
    installation: Installation
    until: float


class Installations(Service):
    """The installations, from memory in the steady state. Misses are not kept: an install is seen by the very next call."""

    log = Logger()

    def __init__(self, clock: IReactorTime, database: Database, messages: IMessages, known: Declarations) -> None:
        self._clock, self._database, self._messages, self._declarations = clock, database, messages, known
        self._kept: Lru[tuple[str, str], _Known] = Lru(ENTRIES)
        self._loading: Joined[tuple[str, str], Installation] = Joined()
        self._stale: set[tuple[str, str]] = set()
        self._telling = Background()
        self._unsubscribe: Unsubscribe | None = None
        self._watchers: list[Callable[[str, str], None]] = []

    def startService(self) -> None:
        Service.startService(self)
        self._unsubscribe = self._messages.subscribe(CHANNEL, self._heard)

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        return self._telling.idle()

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """From now on `changed` is told the tenant and the plugin id of every change, on whichever node it was made."""
        self._watchers.append(changed)

    async def find(self, tenant: str, plugin_id: str) -> Installation:
        """Returns without a turn of the reactor when it is in memory. Raises PluginNotFound."""
        key = (tenant, plugin_id)
        known = self._kept.get(key)
        if known is not None and self._clock.seconds() < known.until:
            return known.installation
        return await self._loading.ask(key, lambda: self._load(key))

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        """Likewise. Raises PluginNotFound."""
        return await self._declarations.get(identifier)

    def changed(self, tenant: str, plugin_id: str, gone: PluginIdentifier | None = None) -> None:
        """
        After a commit: the tenant's version of this plugin is another one, or none. Forgotten here at once, elsewhere within moments.

        `gone` is a version that nobody has any more; its declaration is forgotten too.
        """
        self._tell(Changed(tenant, plugin_id, str(gone or "")))

    def redeclared(self, identifier: PluginIdentifier) -> None:
        """After a commit: the declaration of this version is another one."""
        self._tell(Changed(declaration=str(identifier)))

    def _tell(self, change: Changed) -> None:
        self._forget(change)
        self._telling.spawn("telling the other nodes of a change", self._publish(change))

    async def _publish(self, change: Changed) -> None:
        try:
            await self._messages.publish(CHANNEL, msgspec.json.encode(change))
        except InternalError as why:  # they learn of it when their entries run out
            self.log.warn(
                "cannot tell the other nodes that {plugin} of {tenant} has changed: {why}",
                plugin=change.plugin_id or change.declaration,
                tenant=change.tenant,
                why=str(why),
            )

    def _heard(self, message: bytes) -> None:
        self._forget(_message.decode(message))

    def _forget(self, change: Changed) -> None:
        key = (change.tenant, change.plugin_id)
        self._kept.drop(key)
        if self._loading.running(key):
            self._stale.add(key)
        for changed in self._watchers:
            changed(*key)
        if change.declaration:
            try:
                self._declarations.drop(PluginIdentifier.parse(change.declaration))
            except BadIdentifier as why:
                self.log.warn("a message of another node cannot be read: {why}", why=str(why))

    async def _load(self, key: tuple[str, str]) -> Installation:
        while True:
            self._stale.discard(key)
            found = await self._database.read(installations.find_blocking, *key)
            if key not in self._stale:  # else it changed while we read: what we have may be the old row
                break
        if found is None:
            raise PluginNotFound
        self._kept.put(key, _Known(found, self._clock.seconds() + LIFE))
        return found
