"""A bounded memory: what was used least recently goes first."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

K = TypeVar("K")
V = TypeVar("V")


@define(eq=False)
class Lru(Generic[K, V]):
    """
    At most `entries` values; with `weight`, only as many as weigh no more than that together.

    A value that weighs more than a quarter of the limit is not kept at all: it would push out everything else.
    """

    _entries: int
    _weight: int | None = None
    _weigh: Callable[[V], int] = field(default=lambda _: 1)
    _kept: OrderedDict[K, V] = field(factory=OrderedDict, init=False)
    _size: int = field(default=0, init=False)

    def get(self, key: K) -> V | None:
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        weight = self._weigh(value)
        if self._weight is not None and weight * 4 > self._weight:
            return
        self._kept[key] = value
        self._size += weight
        while len(self._kept) > self._entries or (self._weight is not None and self._size > self._weight):
            _, oldest = self._kept.popitem(last=False)
            self._size -= self._weigh(oldest)

    def drop(self, key: K) -> None:
        """Forget it; nothing happens when it is not there."""
        old = self._kept.pop(key, None)
        if old is not None:
            self._size -= self._weigh(old)

    def __len__(self) -> int:
        return len(self._kept)
