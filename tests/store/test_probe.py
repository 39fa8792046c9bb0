"""Whether the storage can be written, as readiness tells it."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import StorageFailed
from difyd.store.blobs import Blobs
from difyd.store.local import LocalObjects
from difyd.store.probe import ROUND, StorageProbe
from difyd.store.threads import Threads
from tests.store.inline import HeldPool, InlinePool, InlineReactor


class FailingObjects(LocalObjects):
    """A disk that takes nothing while `trouble` says something."""

    trouble = ""

    def stage_blocking(self, key, data):
        if self.trouble:
            raise StorageFailed(self.trouble)
        return super().stage_blocking(key, data)


class ProbeTests(SynchronousTestCase):
    def begin(self, pool) -> None:
        self.clock, self.root, self.pool = Clock(), Path(self.mktemp()), pool
        self.objects = FailingObjects(self.root)
        self.blobs = Blobs(self.objects, Threads(InlineReactor(), pool))
        opened = self.blobs.startService()
        if isinstance(pool, HeldPool):
            pool.release()
        self.successResultOf(opened)
        self.probe = StorageProbe(self.clock, self.blobs)
        self.probe.startService()

    def end(self) -> None:
        stopped = self.probe.stopService()
        if isinstance(self.pool, HeldPool):
            self.pool.release()
        self.successResultOf(stopped)
        self.successResultOf(self.blobs.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_well(self) -> None:
        """Nothing of the tries stays, and nothing is said."""
        with capturedLogs() as events:
            self.begin(InlinePool())
            self.clock.advance(ROUND)
        self.assertTrue(self.probe.good)
        self.assertEqual((events, [path for path in self.root.rglob("*") if path.is_file()]), ([], []))
        self.end()

    def test_full(self) -> None:
        """A disk that takes nothing is said once, and so is its recovery, though nobody stored anything."""
        self.begin(InlinePool())
        seen = []
        with capturedLogs() as events:
            for trouble in ("no space left", "no space left", "", ""):
                self.objects.trouble = trouble
                self.clock.advance(ROUND)
                seen.append(self.probe.good)
        self.assertEqual(seen, [False, False, True, True])
        self.assertEqual([event["log_level"].name for event in events], ["error", "info"])
        self.assertEqual(events[0]["trouble"], "no space left")
        self.end()

    def test_hangs(self) -> None:
        """One that does not answer has failed too; it is not asked again before it does."""
        self.begin(HeldPool())
        with capturedLogs():
            for _ in range(3):
                self.clock.advance(ROUND)
        self.assertEqual((self.probe.good, len(self.pool.waiting)), (False, 1))
        self.pool.release()
        self.assertTrue(self.probe.good)
        self.end()
