"""What a process writes beside its answers: its standard error, and how much of its words is passed on (local-runtime 5.5, 14.2)."""

from collections.abc import Callable
from typing import Final

from attrs import define, field

from difyd.wire.lines import Line, LineBuffer, TooLong, TooLongEnd

KEPT: Final = 1024
"""Bytes that an error shows."""
FRESH: Final = 60.0
"""Seconds after which last words no longer explain anything."""
LONGEST: Final = 64 * 1024
"""Bytes of one line on standard error; of a longer one the beginning is kept."""
SHOWN: Final = 1024
"""Bytes of a line that the log shows."""
BURST: Final = 200
"""Lines that a process may write at once and see in the log."""
PER_SECOND: Final = 20.0


@define(eq=False)
class Allowance:
    """How much of a talkative process is passed on: BURST lines, refilled by PER_SECOND."""

    _left: float = field(default=BURST, init=False)
    _at: float = field(default=0.0, init=False)
    _dropped: int = field(default=0, init=False)

    def pass_on(self, line: bytes, now: float) -> str | None:
        """`line` as the log shows it, with the number of those that were left out before it; None when it is left out itself."""
        self._left = min(BURST, self._left + max(0.0, now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            self._dropped += 1
            return None
        self._left -= 1
        text = line[:SHOWN].decode(errors="replace")
        if self._dropped:
            text, self._dropped = f"{text} (and {self._dropped} lines before it that were left out)", 0
        return text


@define(eq=False)
class ErrorStream:
    """Standard error, read on whatever comes: its end is kept, its lines are passed on as far as they may be."""

    _tell: Callable[[str], None]
    _lines: LineBuffer = field(factory=lambda: LineBuffer(LONGEST), init=False)
    _allowance: Allowance = field(factory=Allowance, init=False)
    _kept: bytes = field(default=b"", init=False)
    _at: float = field(default=0.0, init=False)

    def feed(self, data: bytes, now: float) -> None:
        self._note(self._lines.feed(data), now)

    def end(self, now: float) -> None:
        """What was written last counts as a line, also without a newline."""
        self._note(self._lines.end(), now)

    def last_words(self, now: float) -> str:
        """The last KEPT bytes, each line with its newline; "" when they are too old or there are none."""
        if not self._kept or now - self._at > FRESH:
            return ""
        return self._kept.decode(errors="ignore")  # the cut may have gone through a character

    def _note(self, lines: list[Line], now: float) -> None:
        for line in lines:
            if isinstance(line, TooLongEnd):
                continue
            text = line.head if isinstance(line, TooLong) else line
            self._kept = (self._kept + text + b"\n")[-KEPT:]
            self._at = now
            shown = self._allowance.pass_on(text, now)
            if shown is not None:
                self._tell(shown)
