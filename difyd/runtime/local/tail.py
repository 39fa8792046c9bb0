"""The last words of a process (local-runtime 5.5), and a bound on how many of its words are passed on."""

from typing import Final

from attrs import define, field

KEPT: Final = 1024
"""Bytes that an error shows."""
FRESH: Final = 60.0
"""Seconds after which last words no longer explain anything."""
BURST: Final = 200
"""Lines that a process may write at once and see in the log."""
PER_SECOND: Final = 20.0


@define(eq=False)
class Tail:
    """The end of a stream of lines."""

    _kept: bytes = field(default=b"", init=False)
    _at: float = field(default=0.0, init=False)

    def add(self, line: bytes, now: float) -> None:
        self._kept = (self._kept + line + b"\n")[-KEPT:]
        self._at = now

    def text(self, now: float) -> str:
        """The last KEPT bytes, each line with its newline; "" when they are too old or there are none."""
        if not self._kept or now - self._at > FRESH:
            return ""
        return self._kept.decode(errors="ignore")  # the cut may have gone through a character


@define(eq=False)
class Allowance:
    """How much of a talkative process is passed on: BURST lines, refilled by PER_SECOND."""

    _left: float = field(default=BURST, init=False)
    _at: float = field(default=0.0, init=False)
    _dropped: int = field(default=0, init=False)

    def take(self, now: float) -> bool:
        """May one more line pass?"""
        self._left = min(BURST, self._left + max(0.0, now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            self._dropped += 1
            return False
        self._left -= 1
        return True

    def dropped(self) -> int:
        """Lines that did not pass since this was last asked."""
        dropped, self._dropped = self._dropped, 0
        return dropped
