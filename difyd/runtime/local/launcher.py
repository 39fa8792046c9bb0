"""
The first breath of every child: `python -I -S launcher.py <parent> <directory> <program> [arguments]`.

Runs between the daemon's fork and the program: makes the process the leader of a session of its own, so that a signal reaches all that it
starts and none of it reaches the daemon; has the kernel kill it when the daemon dies (Linux); goes to its directory and becomes the program.
The program sees nothing of this: neither in its arguments nor in its environment.

Standard library only, and as little of it as possible: this is on the way of every start.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127


def die_with_parent(parent: int) -> None:
    """From here on the daemon's death is ours. The kernel watches the thread that forked, which is the daemon's main thread."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(CANNOT_RUN)


def main(arguments: list[str]) -> None:
    parent, directory, *command = arguments
    os.setsid()
    die_with_parent(int(parent))
    what = f"work in {directory}"
    try:
        os.chdir(directory)
        what = f"run {command[0]}"
        os.execv(command[0], command)
    except OSError as why:
        os.write(2, f"cannot {what}: {why.strerror}\n".encode())
        os._exit(CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
