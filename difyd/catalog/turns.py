"""Whose turn it is to work on one plugin identifier."""

from types import TracebackType

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from difyd.background import Background
from difyd.catalog.claims import Claim
from difyd.entities.identifier import PluginIdentifier
from difyd.store.cache.interfaces import ILeases

RETRY = 0.5
"""Seconds between two tries for a lease that another node holds."""


@define(eq=False, slots=False)
class _Turn:
    """The state of one identifier on this node while anybody works on it."""

    claim: Claim
    gate: DeferredLock = field(factory=DeferredLock)
    """Whoever takes or gives back the lease, or clears away, is alone here."""
    users: int = 0
    taken: bool = False


class Turns(Service):
    """
    One lease for each identifier in the whole cluster, shared by the installs of this node.

    Installs of one identifier run side by side on a node, because the launcher makes one launch of them. Clearing away is done by one
    alone, and only while nobody installs; it does not stand in the way of installs by waiting for its turn.

        with await turns.installing(identifier):
            ...
    """

    def __init__(self, clock: IReactorTime, leases: ILeases) -> None:
        self._clock, self._leases = clock, leases
        self._turns: dict[PluginIdentifier, _Turn] = {}
        self._leaving = Background()

    def stopService(self) -> Deferred[None]:
        """Fires when all leases are given back; those who hold turns must have been stopped before."""
        Service.stopService(self)
        return self._leaving.idle()

    async def installing(self, identifier: PluginIdentifier) -> "Held":
        """Waits for whoever clears `identifier` away, and for other nodes that install it; for as long as the caller lets it."""
        turn = self._enter(identifier)
        try:
            await turn.gate.acquire()
            try:
                while not turn.taken:
                    turn.taken = await turn.claim.take()
                    if not turn.taken:
                        await deferLater(self._clock, RETRY)
            finally:
                turn.gate.release()
        except BaseException:  # cancelled while it waited
            self._leave(identifier, turn)
            raise
        return Held(self, identifier, turn, alone=False)

    async def removing(self, identifier: PluginIdentifier) -> "Held | None":
        """None when somebody, here or on another node, works on `identifier`."""
        known = self._turns.get(identifier)
        if known is not None and known.users:
            return None
        turn = self._enter(identifier)
        free = False
        try:
            await turn.gate.acquire()  # waits at most for a lease that is just being given back
            try:
                if turn.users == 1:
                    free = turn.taken = turn.taken or await turn.claim.take()
            finally:
                if not free:
                    turn.gate.release()
        finally:
            if not free:
                self._leave(identifier, turn)
        return Held(self, identifier, turn, alone=True) if free else None

    def _enter(self, identifier: PluginIdentifier) -> _Turn:
        turn = self._turns.get(identifier)
        if turn is None:
            turn = self._turns[identifier] = _Turn(Claim(self._clock, self._leases, f"install:{identifier}"))
        turn.users += 1
        return turn

    def _leave(self, identifier: PluginIdentifier, turn: _Turn) -> None:
        turn.users -= 1
        if not turn.users:
            self._leaving.spawn("giving back a lease", self._give_back(identifier, turn))

    async def _give_back(self, identifier: PluginIdentifier, turn: _Turn) -> None:
        """Not part of the work that held the turn: that may have been cancelled."""
        await turn.gate.acquire()
        try:
            if turn.users:  # somebody came in meanwhile, and takes the lease over
                return
            turn.taken = False
            await turn.claim.release()
        finally:
            turn.gate.release()
        if not turn.users and self._turns.get(identifier) is turn:
            del self._turns[identifier]


@define(eq=False, slots=False)
class Held:
    """A turn; a context manager whose end gives it back."""

    _turns: Turns
    _identifier: PluginIdentifier
    _turn: _Turn
    _alone: bool

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None) -> None:
        if self._alone:
            self._turn.gate.release()
        self._turns._leave(self._identifier, self._turn)
