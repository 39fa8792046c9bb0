"""One plugin under development, as calls see it."""

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import WriteFailed
from difyd.runtime.debug.interfaces import ILink
from difyd.runtime.interfaces import IChannel, ISession, IShadow

AWAY = "the plugin under development has disconnected"


@implementer(IShadow)
@define(eq=False)
class DebugPlugin:
    """
    What a tenant debugs under one plugin id, over all the connections that its developer makes: the newest one has the calls.

    Between two connections it may be *expected*, for as long as its owner says; calls wait then. The identifier and the declaration are
    those of the newest connection.
    """

    tenant: str
    identifier: PluginIdentifier
    declaration: Declaration = field(repr=False)
    kind: RuntimeType = field(default=RuntimeType.REMOTE, init=False)
    _link: ILink | None = field(default=None, init=False)
    _expected: bool = field(default=False, init=False)
    _waiting: set[Deferred[None]] = field(factory=set, init=False)

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def available(self) -> bool:
        """Can it take a call now? The reset of a connection may lie in the system unread while a call comes in."""
        return self._link is not None and not self._link.lost()

    def attach(self, link: ILink, identifier: PluginIdentifier, declaration: Declaration) -> None:
        """`link` has the calls from now on; those that are open stay where they are, for a moment."""
        older, self._link = self._link, link
        self.identifier, self.declaration = identifier, declaration
        if older is not None:
            older.supersede()
        self._wake()

    def carried_by(self, link: ILink) -> bool:
        """Does `link` have the calls?"""
        return self._link is link

    def detach(self, link: ILink) -> bool:
        """`link` is gone: did it have the calls? Then the next one is expected, until `abandon`."""
        if self._link is not link:
            return False
        self._link, self._expected = None, True
        return True

    def abandon(self) -> None:
        """Nobody is expected any more: calls that wait fail."""
        self._expected = False
        self._wake()

    async def open(self, session: ISession) -> IChannel:
        """See IPluginRuntime. Waits while a connection is expected."""
        while self._link is None:
            if not self._expected:
                raise WriteFailed(AWAY)
            waiter: Deferred[None] = Deferred(self._waiting.discard)
            self._waiting.add(waiter)
            await waiter
        return self._link.open(session)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            waiter.callback(None)
