"""
Newline-framed streams, cut into lines at a cost that is linear in the bytes, wherever the stream was cut.

Twisted's line receivers search their whole buffer again at each segment; a line of 64 MiB takes them 20 s. Here only what has just
arrived is searched, and what waits for its newline is copied once.
"""

from attrs import define, field, frozen

HEAD = 1024
"""Bytes of an over-long line, at its beginning and at its end, that are kept to tell whose it was."""


@frozen
class TooLong:
    """Stands for a line that is longer than allowed, as soon as that is known: its first bytes. The rest is thrown away."""

    head: bytes


@frozen
class TooLongEnd:
    """The end of the line that the last TooLong announced: its last bytes."""

    tail: bytes


Line = bytes | TooLong | TooLongEnd


@define(eq=False)
class LineBuffer:
    """
    Bytes in, lines out: without their LF or CR LF, empty ones left out.

    Holds less than `limit` bytes between two calls, or the last bytes of a line that is skipped. A line of `limit` bytes or more (without
    its newline) comes out as one `TooLong` as soon as it is known to be too long, and as one `TooLongEnd` when it ends; reading goes on with
    the next line.
    """

    limit: int
    _held: bytearray = field(factory=bytearray, init=False)
    _skipping: bool = field(default=False, init=False)
    """Is `_held` the end of an over-long line?"""

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        *whole, last = data.split(b"\n")
        lines: list[Line] = []
        if whole:
            if self._held or self._skipping:
                lines += self._finish(whole.pop(0))
            for line in whole:
                if line:
                    lines += self._checked(line)
        if last:
            lines += self._keep(last)
        return lines

    def end(self) -> list[Line]:
        """The stream is over: what it wrote last counts as a line, also without a newline."""
        return self._finish(b"")

    @property
    def held(self) -> int:
        """Bytes of the unfinished line."""
        return len(self._held)

    def _keep(self, piece: bytes) -> list[Line]:
        self._held += piece
        if self._skipping:
            del self._held[:-HEAD]
            return []
        if len(self._held) < self.limit:
            return []
        self._skipping = True
        head = bytes(self._held[:HEAD])
        del self._held[:-HEAD]
        return [TooLong(head)]

    def _finish(self, piece: bytes) -> list[Line]:
        self._held += piece
        line, self._held = bytes(self._held), bytearray()
        if self._skipping:
            self._skipping = False
            return [TooLongEnd(line[-HEAD:])]
        return self._checked(line)

    def _checked(self, line: bytes) -> list[Line]:
        if len(line) >= self.limit:
            return [TooLong(line[:HEAD]), TooLongEnd(line[-HEAD:])]
        if line.endswith(b"\r"):
            line = line[:-1]
        return [line] if line else []
