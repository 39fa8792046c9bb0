"""Shell patterns over the paths of a package (package-format 12.3); `fnmatch` means something else by `!`, `**` and broken ranges."""

import re

from attrs import define, field


class BadPattern(Exception):
    """A pattern that means nothing; the text is the fixed one."""

    def __init__(self) -> None:
        super().__init__("syntax error in pattern")


def compiled(pattern: str) -> re.Pattern[str]:
    """
    The pattern as an expression for whole paths: `*` and `?` stay in their folder, `[a-z]` and `[^a]` are sets, `\\` escapes.

    What follows a `*` is taken where it fits first, and no other place is tried unless it is the end: that is how the reference matches, and
    no pattern can take for ever. Raises BadPattern.
    """
    first, *others = _Scan(pattern).chunks()
    parts = [first, *(f"(?>[^/]*?{chunk})" for chunk in others[:-1]), *(f"[^/]*{chunk}" for chunk in others[-1:])]
    return re.compile("".join(parts), re.DOTALL)


@define(eq=False)
class _Scan:
    _text: str
    _at: int = field(default=0, init=False)

    def chunks(self) -> list[str]:
        """What stands before, between and behind the stars."""
        chunks = [""]
        while self._at < len(self._text):
            match self._text[self._at]:
                case "*":
                    self._at += 1
                    if len(chunks) == 1 or chunks[-1]:
                        chunks.append("")
                case "?":
                    self._at += 1
                    chunks[-1] += "[^/]"
                case "[":
                    self._at += 1
                    chunks[-1] += self._set()
                case _:
                    chunks[-1] += re.escape(self._one())
        return chunks

    def _set(self) -> str:
        """The inside of brackets: at least one range, and no `-` or `]` that is not escaped at the place of a character."""
        negated = self._text.startswith("^", self._at)
        self._at += negated
        ranges: list[str] = []
        while not (ranges and self._text.startswith("]", self._at)):
            low = high = self._bound()
            if self._text.startswith("-", self._at):
                self._at += 1
                high = self._bound()
            ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        self._at += 1
        inside = "".join(ranges)
        if not inside:  # every range is upside down
            return "." if negated else "(?!)"
        return f"[{'^' if negated else ''}{inside}]"

    def _bound(self) -> str:
        if self._at >= len(self._text) or self._text[self._at] in "-]":
            raise BadPattern
        return self._one()

    def _one(self) -> str:
        """One character, maybe escaped."""
        if self._text[self._at] == "\\":
            self._at += 1
        if self._at >= len(self._text):
            raise BadPattern
        self._at += 1
        return self._text[self._at - 1]
