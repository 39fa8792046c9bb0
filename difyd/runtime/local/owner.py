"""Whose process is this? The mark that a daemon leaves on what it starts, and what it means when the daemon is gone."""

import os
from pathlib import Path
from typing import Final, Self

import psutil
from attrs import frozen

VARIABLE: Final = "DIFYD_OWNER"
SLACK: Final = 500
"""Hundredths of a second by which a start may seem to move, since systems tell it by a clock that is set now and then."""


@frozen
class Owner:
    """
    One run of a daemon on one working path.

    The number alone would not do: it may belong to another process by the time somebody looks, so the moment of its start goes with it.
    """

    pid: int
    started: int
    """Hundredths of a second since the epoch, as the system tells it."""
    root: str

    @classmethod
    def this(cls, root: Path) -> Self:
        """This daemon."""
        return cls(os.getpid(), _started(psutil.Process()), str(root))

    @classmethod
    def parse(cls, mark: str) -> Self | None:
        pid, _, rest = mark.partition(":")
        started, _, root = rest.partition(":")
        if not (pid.isdecimal() and started.isdecimal() and root):
            return None
        return cls(int(pid), int(started), root)

    @property
    def mark(self) -> str:
        return f"{self.pid}:{self.started}:{self.root}"

    def lives_blocking(self) -> bool:
        try:
            return abs(_started(psutil.Process(self.pid)) - self.started) <= SLACK
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _started(process: psutil.Process) -> int:
    return round(process.create_time() * 100)
