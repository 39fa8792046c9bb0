"""
What lists remember: a page of declarations is megabytes, of which nothing or little has changed since the last time.

Three kinds of it, each made of the one before, with the same bytes of declarations: nothing is copied.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Final, Generic, TypeVar

import msgspec
from attrs import define, field, frozen
from msgspec import Struct

from difyd.entities.declaration import Declaration
from difyd.store.database.records import Declared
from difyd.wire.text import Pieces

K = TypeVar("K")
V = TypeVar("V")

Stamp = tuple[object, object]
"""
Id and `updated_at` of a row of declarations, as they are in the database now.

One that is replaced gets a new row, and whoever changes one has to say so in the time.
"""

LIMIT: Final = 16 * 1024 * 1024
"""Bytes at most, of each kind."""
_ROW: Final = 2048
"""Bytes of a row and of its record, or of what was decoded of a declaration, less the JSON."""


class Head(Struct, frozen=True):
    """As much of a declaration as lists show by itself; decoding it also proves that the rest is JSON."""

    name: str = ""
    version: str = ""
    verified: bool = False


_head = msgspec.json.Decoder(Head)


@define(eq=False)
class Known:
    """A declaration that can be read."""

    text: bytes
    head: Head
    _opened: Declaration | None = field(default=None, init=False)

    @classmethod
    def read(cls, text: bytes) -> "Known":
        """Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError."""
        return cls(text, _head.decode(text))

    def declaration(self) -> Declaration:
        """All that the daemon reads of it, for lists that look into it; decoded once. Raises msgspec.DecodeError."""
        if self._opened is None:
            self._opened = Declaration.decode(self.text)
        return self._opened


@define(eq=False)
class Kept(Generic[K, V]):
    """
    Values under keys that say all about them: so nobody has to say when one changes.

    Bounded by their bytes; what was used least recently goes first, and what would take more than a quarter is not kept. Used by several
    threads.
    """

    _weigh: Callable[[V], int]
    _limit: int = LIMIT
    _kept: OrderedDict[K, V] = field(factory=OrderedDict, init=False)
    _size: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def get(self, keys: Sequence[K]) -> list[V | None]:
        """The value of each, in order, None where it is not kept; in one step, since there may be hundreds."""
        with self._lock:
            found = [self._kept.get(key) for key in keys]
            if self._size * 2 > self._limit:  # before that nothing has to go for long
                for key, value in zip(keys, found, strict=True):
                    if value is not None:
                        self._kept.move_to_end(key)
            return found

    def put(self, key: K, value: V) -> None:
        with self._lock:
            weight = self._weigh(value)
            if key in self._kept or weight * 4 > self._limit:
                return
            self._kept[key] = value
            self._size += weight
            while self._size > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._size -= self._weigh(oldest)


@define(eq=False)
class Stamps:
    """The stamps that were looked up, for as long as no declaration changes. Used by several threads."""

    _kept: tuple[int, dict[str, Stamp]] = field(default=(-1, {}), init=False)

    def of(self, number: int | None) -> dict[str, Stamp]:
        """By identifier, of the state with this number of changes, to be added to; of an unknown state nothing is kept."""
        if number is None:
            return {}
        kept = self._kept
        if kept[0] != number:
            kept = self._kept = (number, {})
        return kept[1]


@frozen(eq=False)
class Memory:
    """What is kept of one database."""

    stamps: Stamps = field(factory=Stamps)
    declarations: Kept[Stamp, Known] = field(factory=lambda: Kept(lambda known: _ROW + len(known.text)))
    records: Kept[Hashable, Struct] = field(factory=lambda: Kept(_weigh))
    """By what made them and all of their row, the stamp of their declaration included."""
    pages: Kept[Hashable, Pieces] = field(factory=lambda: Kept(lambda pieces: sum(map(len, pieces))))
    """Finished lists, by the number of changes that they show (`difyd.store.database.changes`) and all that was asked for."""


def _weigh(record: Struct) -> int:
    return _ROW + (sum(map(len, record.pieces)) if isinstance(record, Declared) else 0)
