"""Names of sessions."""

from os import urandom
from typing import Final

from attrs import define, field

BLOCK: Final = 256
"""Ids that one look at the system's source of chance is good for: it is a system call, which costs more than all the rest of an id."""


@define(eq=False)
class SessionIds:
    """Random UUIDs (version 4) that nobody can guess: who knows the id of an open session may speak for its plugin (http-api 2)."""

    _digits: str = field(default="", init=False)
    _at: int = field(default=0, init=False)

    def new(self) -> str:
        if self._at == len(self._digits):
            self._digits, self._at = urandom(16 * BLOCK).hex(), 0
        d, self._at = self._digits[self._at : self._at + 32], self._at + 32
        return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{'89ab'[int(d[16], 16) & 3]}{d[17:20]}-{d[20:]}"
