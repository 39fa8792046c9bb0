"""Leases that are kept for as long as they are wanted."""

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from difyd.errors import InternalError
from difyd.store.cache.interfaces import ILease, ILeases

LEASE = 30.0
"""Seconds for which a lease is taken; it is renewed three times as often."""


@define(eq=False)
class Claim:
    """
    A lease that is renewed until it is released, and taken again as soon as it can be when it was lost.

    Losing it stops nothing: what is done under a lease here is harmless when done twice, so that it may go on without one while the
    cluster's store cannot be reached.
    """

    log = Logger()
    _clock: IReactorTime
    _leases: ILeases
    _name: str
    _lease: ILease | None = field(default=None, init=False)
    _renewing: LoopingCall | None = field(default=None, init=False)

    async def take(self) -> bool:
        """Try once; False when somebody else has it. When nobody can be asked the claim counts as taken."""
        try:
            self._lease = await self._leases.acquire(self._name, LEASE)
        except InternalError as why:
            self.log.warn("going on without the lease {name}: {why}", name=self._name, why=str(why))
        else:
            if self._lease is None:
                return False
        self._renewing = LoopingCall(lambda: Deferred.fromCoroutine(self._renew()))
        self._renewing.clock = self._clock
        self._renewing.start(LEASE / 3, now=False)
        return True

    async def release(self) -> None:
        """Give it back. Idempotent."""
        renewing, self._renewing = self._renewing, None
        lease, self._lease = self._lease, None
        if renewing is not None and renewing.running:
            renewing.stop()
        if lease is not None:
            try:
                await lease.release()
            except InternalError as why:
                self.log.warn("the lease {name} runs out by itself: {why}", name=self._name, why=str(why))

    async def _renew(self) -> None:
        try:
            if self._lease is not None and await self._lease.renew():
                return
            lease = await self._leases.acquire(self._name, LEASE)
        except InternalError as why:
            self.log.warn("cannot renew the lease {name}: {why}", name=self._name, why=str(why))
            return
        if self._renewing is None:  # released while we asked
            if lease is not None:
                await lease.release()
            return
        if lease is None and self._lease is not None:
            self.log.warn("lost the lease {name} to somebody else", name=self._name)
        self._lease = lease
