"""What lists remember of declarations: a page of them is megabytes, of which nothing has changed since the last time."""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

import msgspec
from attrs import define, field, frozen
from msgspec import Struct

Stamp = tuple[object, object]
"""Id and `updated_at` of a row of declarations: one that is replaced gets a new row, and whoever changes one has to say so in the time."""

KEPT: Final = 16 * 1024 * 1024
"""Bytes of JSON at most."""


class Head(Struct, frozen=True):
    """As much of a declaration as lists show by itself; decoding it also proves that the rest is JSON."""

    name: str = ""
    version: str = ""
    verified: bool = False


_head = msgspec.json.Decoder(Head)


@frozen
class Known:
    """A declaration that can be read."""

    text: bytes
    head: Head

    @classmethod
    def read(cls, text: bytes) -> "Known":
        """Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError."""
        return cls(text, _head.decode(text))


@define(eq=False)
class Memory:
    """
    Declarations by the stamp of their row, which every look-up takes from the database: so nobody has to say when one changes.

    Bounded by their bytes; what was used least recently goes first, and what would take more than a quarter is not kept. Used by several
    threads.
    """

    _limit: int = KEPT
    _kept: OrderedDict[Stamp, Known] = field(factory=OrderedDict, init=False)
    _size: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def get(self, stamps: Iterable[Stamp]) -> dict[Stamp, Known]:
        """Those that are kept; in one step, since there may be hundreds."""
        with self._lock:
            found = {stamp: self._kept[stamp] for stamp in stamps if stamp in self._kept}
            for stamp in found:
                self._kept.move_to_end(stamp)
            return found

    def put(self, stamp: Stamp, known: Known) -> None:
        with self._lock:
            if stamp in self._kept or len(known.text) * 4 > self._limit:
                return
            self._kept[stamp] = known
            self._size += len(known.text)
            while self._size > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest.text)
