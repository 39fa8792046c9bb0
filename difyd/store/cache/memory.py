"""The cache of a daemon that is alone: everything in this process."""

import secrets
from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from difyd.store.cache.interfaces import ICache, ILease, ILeases, IMessages, Unsubscribe


@frozen
class _Value:
    data: bytes
    deadline: float


@implementer(ICache)
@define(eq=False)
class MemoryCache:
    """Bounded by the number of values and by their bytes (keys not counted); a value larger than all of the room is not kept."""

    _clock: IReactorTime
    _entries: int = 10_000
    _bytes: int = 64 << 20
    _values: OrderedDict[str, _Value] = field(factory=OrderedDict, init=False)
    """The one used longest ago comes first."""
    _size: int = field(default=0, init=False)

    async def get(self, key: str) -> bytes | None:
        value = self._live(key)
        if value is None:
            return None
        self._values.move_to_end(key)
        return value.data

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self._drop(key)
        if len(value) > self._bytes:
            return
        self._values[key] = _Value(value, self._clock.seconds() + ttl)
        self._size += len(value)
        while len(self._values) > self._entries or self._size > self._bytes:
            self._drop(next(iter(self._values)))

    async def delete(self, *keys: str) -> int:
        return sum(self._live(key) is not None and self._drop(key) for key in keys)

    async def expire(self, key: str, ttl: float) -> bool:
        value = self._live(key)
        if value is None:
            return False
        self._values[key] = _Value(value.data, self._clock.seconds() + ttl)
        return True

    def _live(self, key: str) -> _Value | None:
        value = self._values.get(key)
        if value is not None and value.deadline <= self._clock.seconds():
            self._drop(key)
            return None
        return value

    def _drop(self, key: str) -> bool:
        value = self._values.pop(key, None)
        if value is None:
            return False
        self._size -= len(value.data)
        return True


@implementer(ILeases)
@define(eq=False)
class MemoryLeases:
    """One holder per name in this process. What runs out is forgotten when its name is asked for again."""

    _clock: IReactorTime
    _held: dict[str, tuple[str, float]] = field(factory=dict, init=False)
    """Token and deadline by name."""

    async def acquire(self, name: str, ttl: float) -> ILease | None:
        now = self._clock.seconds()
        if name in self._held and self._held[name][1] > now:
            return None
        token = secrets.token_hex(16)
        self._held[name] = token, now + ttl
        return _MemoryLease(name, ttl, token, self)

    def is_held(self, name: str, token: str) -> bool:
        held = self._held.get(name)
        return held is not None and held[0] == token and held[1] > self._clock.seconds()

    def extend(self, name: str, token: str, ttl: float) -> bool:
        if not self.is_held(name, token):
            return False
        self._held[name] = token, self._clock.seconds() + ttl
        return True

    def give_back(self, name: str, token: str) -> None:
        if self._held.get(name, ("", 0.0))[0] == token:
            del self._held[name]


@implementer(ILease)
@define(eq=False)
class _MemoryLease:
    name: str
    _ttl: float
    _token: str = field(repr=False)
    _leases: MemoryLeases = field(repr=False)

    async def renew(self) -> bool:
        return self._leases.extend(self.name, self._token, self._ttl)

    async def release(self) -> None:
        self._leases.give_back(self.name, self._token)

    def held(self) -> bool:
        return self._leases.is_held(self.name, self._token)


@implementer(IMessages)
@define(eq=False)
class MemoryMessages:
    """To this process alone."""

    log = Logger()
    _clock: IReactorTime
    _listeners: dict[str, list[Callable[[bytes], None]]] = field(factory=dict, init=False)

    async def publish(self, channel: str, message: bytes) -> None:
        if channel in self._listeners:
            self._clock.callLater(0, self._deliver, channel, message)

    def subscribe(self, channel: str, listener: Callable[[bytes], None]) -> Unsubscribe:
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(listener)

        def unsubscribe() -> None:
            if listener in listeners:
                listeners.remove(listener)
            if not listeners and self._listeners.get(channel) is listeners:
                del self._listeners[channel]

        return unsubscribe

    def _deliver(self, channel: str, message: bytes) -> None:
        for listener in list(self._listeners.get(channel, ())):
            try:
                listener(message)
            except Exception:
                self.log.failure("a listener of {channel} failed", channel=channel)
