"""Identifiers of rows: UUIDs of version 7, which sort by the time of their making (state-and-cluster 2.4)."""

import secrets
import uuid
from collections.abc import Callable
from threading import Lock

from attrs import define, field

_RANDOM_BITS = 74
"""What version 7 leaves besides 48 bits of milliseconds and 6 of version and variant."""


@define(eq=False)
class Ids:
    """Makes ids that grow, even within a millisecond and when the clock steps back. Used by several threads."""

    _now: Callable[[], float]
    """Seconds since the epoch."""
    _last: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def new(self) -> str:
        """The next id, in lower case with dashes."""
        fresh = int(self._now() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            self._last = max(fresh, self._last + 1)
            return _shaped(self._last)


def _shaped(value: int) -> str:
    """48 bits of time, version 7, 12 random bits, variant 2, 62 random bits (RFC 9562)."""
    low = value & (1 << 62) - 1
    high = value >> 62 & 0xFFF
    return str(uuid.UUID(int=value >> _RANDOM_BITS << 80 | 7 << 76 | high << 64 | 2 << 62 | low))
