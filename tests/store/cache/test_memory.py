"""The cache of a daemon that is alone."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.store.cache.interfaces import ICache, ILease, ILeases, IMessages
from difyd.store.cache.memory import MemoryCache, MemoryLeases, MemoryMessages
from tests.store.cache.contracts import BoundedCacheContract, LeasesContract, MessagesContract


class _Timed(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class MemoryCacheTests(BoundedCacheContract, _Timed):
    def make(self, entries: int, size: int) -> MemoryCache:
        return MemoryCache(self.clock, entries, size)

    def test_interface(self) -> None:
        """It provides what it says."""
        verifyObject(ICache, self.make(1, 1))


class MemoryLeasesTests(LeasesContract, _Timed):
    def make(self) -> MemoryLeases:
        return MemoryLeases(self.clock)

    def test_interface(self) -> None:
        """It provides what it says."""
        verifyObject(ILeases, self.make())
        verifyObject(ILease, self.now(self.make().acquire("a", 1)))


class MemoryMessagesTests(MessagesContract, _Timed):
    def make(self) -> MemoryMessages:
        return MemoryMessages(self.clock)

    def test_interface(self) -> None:
        """It provides what it says."""
        verifyObject(IMessages, self.make())

    def test_nobody_listens(self) -> None:
        """A message for nobody leaves nothing behind."""
        self.now(self.make().publish("a", b"1"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
