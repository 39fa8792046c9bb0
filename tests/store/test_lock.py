"""One daemon per data directory."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from difyd.store.lock import NAME, DirectoryLock, DirectoryLocked


class DirectoryLockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.lock = DirectoryLock(self.directory)
        self.lock.startService()
        self.addCleanup(self.lock.stopService)

    def test_makes_the_directory(self) -> None:
        """The first start on a new machine needs no mkdir; the lock says who holds it, to its owner alone."""
        file = self.directory / NAME
        self.assertEqual(file.read_text(), f"{os.getpid()}\n")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_refused(self) -> None:
        """A second daemon learns which directory is taken and by whom."""
        with self.assertRaises(DirectoryLocked) as caught:
            DirectoryLock(self.directory).startService()
        self.assertIn(f"(pid {os.getpid()})", str(caught.exception))
        self.assertIn(str(self.directory), str(caught.exception))

    def test_given_back(self) -> None:
        """After a stop the directory is free, also for the same lock again."""
        self.lock.stopService()
        other = DirectoryLock(self.directory)
        other.startService()
        other.stopService()
        self.lock.startService()

    def test_unusable(self) -> None:
        """A directory that cannot be made is refused with a sentence, not a traceback."""
        file = Path(self.mktemp())
        file.write_text("in the way")
        with self.assertRaises(DirectoryLocked) as caught:
            DirectoryLock(file / "below").startService()
        self.assertIn(str(file), str(caught.exception))

    def test_refused_one_stops(self) -> None:
        """Stopping the one that was refused takes nothing from the holder."""
        refused = DirectoryLock(self.directory)
        self.assertRaises(DirectoryLocked, refused.startService)
        refused.stopService()
        self.assertRaises(DirectoryLocked, DirectoryLock(self.directory).startService)
