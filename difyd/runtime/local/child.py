"""
A child process as the runtime sees it, whoever made it.

A child may come from `spawnProcess` (`difyd.runtime.local.process`) or, one day, be forked by a warm template; it has three pipes and a
process group of its own in either case, and the instance that talks to it does not care. What happens to a child arrives at its listener in
this order:

    output, errors ...      as it is read
    closed(stream)          once for each of the three, after the last byte of it
    exited(how)             the process is reaped; what it wrote last may still be on its way
    ended()                 reaped, and its output and errors are closed: nothing follows
"""

import signal
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

from attrs import field, frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class Stream(IntEnum):
    """The three pipes, by their descriptor in the child."""

    INPUT = 0
    OUTPUT = 1
    ERRORS = 2


@frozen
class Command:
    """What to run."""

    arguments: tuple[str, ...]
    """As the program sees them; the first is its absolute path."""
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    """All of it: nothing is inherited. May hold credentials of the operator's own."""


@frozen
class Exit:
    """How a process ended: by itself with a status, or by a signal."""

    status: int = 0
    signal: int = 0

    @property
    def clean(self) -> bool:
        return not self.status and not self.signal

    @property
    def from_outside(self) -> bool:
        """Somebody has ended it: the kernel that needed memory, a person. The other signals are crashes of its own."""
        return self.signal in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

    def __str__(self) -> str:
        if self.signal:
            return f"killed by {_signal_name(self.signal)}"
        return f"exited with code {self.status}"


class IChildListener(Interface):
    """Who hears of a child. Its methods return at once and do not raise."""

    def output(data: bytes) -> None:
        """What the child has written to its standard output; at most one call for each read of the pipe."""

    def errors(data: bytes) -> None:
        """The same for its standard error."""

    def closed(stream: Stream) -> None:
        """The child, or what it has started, no longer holds this pipe: INPUT is not read any more, OUTPUT and ERRORS are complete."""

    def exited(how: Exit) -> None:
        """The process is gone and reaped; whatever else it had started in its group has been killed."""

    def ended() -> None:
        """Gone, and all that it wrote has been handed over. Nothing is heard of this child after that."""


class IChild(Interface):
    """One process, the leader of a process group of its own."""

    pid: int = Attribute("Its number, which is the number of its group too.")
    queued: int = Attribute("Bytes written that the child's pipe has not taken yet.")

    unread: int = Attribute(
        "Of the bytes written, how many at the end the child has certainly not taken: those queued and those in the pipe. Counts for good once "
        "the child has exited. May be too low where the system does not tell."
    )

    def write(data: bytes) -> bool:
        """
        Send `data` to its standard input. Never waits: what the pipe does not take is queued, without a bound of its own (see `queued`).

        False when the pipe is known to be closed: nothing of `data` has reached the child then.
        """

    def room() -> Deferred[None]:
        """Fires when less than a pipeful is queued, or when the pipe is closed; at once when it is so. Cancelling forgets the waiter."""

    def signal(number: signal.Signals) -> None:
        """To the child and to all that it has started in its group. Does nothing once the child has exited."""


class IChildren(Interface):
    """The maker of children."""

    def spawn(command: Command, listener: IChildListener) -> IChild:
        """
        Start `command` in a new session. Returns at once.

        Raises OSError when the system gives no process or no pipes. A program that cannot be run shows as a child which exits with 127
        and a word on its standard error. The child does not outlive this daemon.
        """

    def kill_all() -> None:
        """SIGKILL to every child there is and to all that they have started, for a daemon that must end now."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
