"""Connections that have not registered: how many there may be, and what they may hold in memory all together."""

from collections.abc import Hashable
from typing import Protocol

from attrs import define, field
from twisted.logger import Logger

from difyd.runtime.debug.messages import BUSY, Refusal


class Visitor(Hashable, Protocol):
    """A connection that nothing hangs on yet."""

    def turn_out(self) -> None:
        """There are too many: close at once."""


@define(eq=False)
class Visitors:
    """Before its handshake a visitor holds 16 KiB of a line and one read; what it holds after it is counted here."""

    log = Logger()

    _most: int
    """Visitors at the same time; the one that came first goes when there are more."""
    _memory: int
    """Bytes that all of them may hold."""
    _held: dict[Visitor, int] = field(factory=dict, init=False)
    """In the order in which they came."""
    _sum: int = field(default=0, init=False)

    def enter(self, visitor: Visitor) -> None:
        self._held[visitor] = 0
        if len(self._held) > self._most:
            oldest = next(iter(self._held))
            self.log.warn("more than {most} connections to the debugging port have not registered; the oldest goes", most=self._most)
            self.leave(oldest)
            oldest.turn_out()

    def hold(self, visitor: Visitor, size: int) -> None:
        """`visitor` holds so many bytes now. Raises Refusal when that is too much for all together."""
        self._sum += size - self._held.get(visitor, 0)
        self._held[visitor] = size
        if self._sum > self._memory:
            raise Refusal(BUSY)

    def leave(self, visitor: Visitor) -> None:
        """It has registered, or is gone. Idempotent."""
        self._sum -= self._held.pop(visitor, 0)

    def __len__(self) -> int:
        return len(self._held)
