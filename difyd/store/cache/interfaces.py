"""
What the cache promises, whether it lives in this process or is shared by a cluster.

Nothing in it is the only copy of anything: a value may be gone before its time, and whoever asks has a slower place to look.
"""

from collections.abc import Callable

from zope.interface import Attribute, Interface


class ICache(Interface):
    """
    Values for a while. Keys are text, values bytes; `ttl` is in seconds, more than 0.

    A shared one raises InternalError when it cannot be reached.
    """

    async def get(key: str) -> bytes | None:
        """The value, or None when there is none (any more)."""

    async def set(key: str, value: bytes, ttl: float) -> None:
        """Keep `value` for `ttl` seconds, replacing what was there. When the cache is full, the value that was used longest ago goes."""

    async def delete(*keys: str) -> int:
        """Forget them; how many there were."""

    async def expire(key: str, ttl: float) -> bool:
        """Count `ttl` from now on; False when there is no such value."""


class ILease(Interface):
    """The right to something, for a while, held by whoever has this object."""

    name: str = Attribute("What it is a right to.")

    async def renew() -> bool:
        """
        Another full time from now on; False when the lease was lost (it ran out, somebody else may hold it): it stays lost.

        Whoever holds one renews it at a third of its time and stops working when this says False.
        """

    async def release() -> None:
        """Give it back, if it is still ours. Idempotent."""

    def held() -> bool:
        """Certainly still ours? Judged by our clock, with the time of the last answer: never says True after it has run out."""


class ILeases(Interface):
    """One holder per name in all of the cluster; none for ever, since holders die."""

    async def acquire(name: str, ttl: float) -> ILease | None:
        """The lease for `ttl` seconds, or None while somebody else (or another task of this process) holds it."""


Unsubscribe = Callable[[], None]


class IMessages(Interface):
    """Short messages to all nodes, this one included: "forget what you know of this". Delivered at most once, in the sender's order."""

    async def publish(channel: str, message: bytes) -> None:
        """Returns when it is on its way. Subscribers of this process hear it in a later turn of the reactor."""

    def subscribe(channel: str, listener: Callable[[bytes], None]) -> Unsubscribe:
        """`listener` is called on the reactor thread with each message; what it raises is logged. The result ends the subscription."""
