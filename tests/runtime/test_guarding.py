"""The daemon's side of the guard."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.local.guarding import AGAIN, Guard


class Full(Clock):
    """A machine with too many processes; with room again, what it starts remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.full, self.told = True, b""

    def spawnProcess(self, protocol: Any, *arguments: Any, **more: Any) -> None:
        if self.full:
            raise OSError("no more processes")
        protocol.transport = self

    def write(self, data: bytes) -> None:
        self.told += data


class GuardTests(SynchronousTestCase):
    def test_no_room(self) -> None:
        """A guard that cannot be started fails nobody's start; it is tried again, and then told of all that there is."""
        machine = Full()
        guard = Guard(machine, "mark")
        guard.watch(7)
        guard.watch(8)
        guard.forget(8)
        machine.full = False
        machine.advance(AGAIN)
        self.assertEqual(machine.told, b"+7\n")
