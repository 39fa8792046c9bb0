"""
The daemon's last will: `python -I -S guard.py <mark>`, one small process beside the daemon.

It is told on its standard input which process groups exist (`+<group>`, `-<group>`, one a line). The input ends when the daemon does, however
it ended, and then everything is killed that is still there: the groups, and, where /proc tells, every process with the daemon's mark in its
environment, which also finds what a plugin has put into a session of its own. The parent-death signal of `launcher.py` reaches a plugin
itself sooner; this reaches what the plugin has started, and the plugin where the kernel knows no such signal.

Standard library only.
"""

import os
import signal
import sys
from contextlib import suppress


def kill_groups(groups: set[int]) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def kill_marked(mark: bytes) -> None:
    """Every process whose environment has the entry `mark`. Does nothing where there is no /proc."""
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                with suppress(OSError):
                    with open(f"/proc/{name}/environ", "rb") as environ:
                        marked = mark in environ.read().split(b"\0")
                    if marked:
                        os.kill(int(name), signal.SIGKILL)


def main(mark: str) -> None:
    os.setsid()  # a signal to the daemon's group is not for us: we go last
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    kill_groups(groups)
    kill_marked(mark.encode())


if __name__ == "__main__":
    main(sys.argv[1])
