"""Start in order, stop in reverse; what signals mean."""

import signal

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import InternalError
from difyd.lifecycle import Signals, Staged


@define
class Noted:
    """The end of a process, written down."""

    statuses: list[int] = field(factory=list)
    ends: list[int] = field(factory=list)

    def status(self, status: int) -> None:
        self.statuses.append(status)

    def now(self, status: int) -> None:
        self.ends.append(status)


class Part(Service):
    """Notes what happens to it; starts and stops when its Deferreds fire."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.name, self.diary = name, diary
        self.starting: Deferred[None] = Deferred()
        self.stopping: Deferred[None] = Deferred()

    def startService(self) -> Deferred[None]:
        self.diary.append(f"start {self.name}")
        return self.starting

    def stopService(self) -> Deferred[None]:
        self.diary.append(f"stop {self.name}")
        return self.stopping


class StagedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.exits, self.diary = MemoryReactorClock(), Noted(), list[str]()
        self.reactor.running = True
        self.parts = [Part(name, self.diary) for name in "abc"]
        self.staged = Staged(self.reactor, self.parts, 5, self.exits)

    def start(self) -> None:
        self.staged.startService()
        for work, args, kwargs in self.reactor.whenRunningHooks:
            work(*args, **kwargs)

    def test_order(self) -> None:
        """A part starts when the one before it has started, and stops when the one after it has stopped."""
        self.start()
        self.assertEqual(self.diary, ["start a"])
        for part in self.parts:
            part.starting.callback(None)
        self.assertEqual(self.diary, ["start a", "start b", "start c"])
        del self.diary[:]
        stopped = self.staged.stopService()
        self.assertEqual(self.diary, ["stop c"])
        for part in self.parts[::-1]:
            self.assertNoResult(stopped)
            part.stopping.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.diary, ["stop c", "stop b", "stop a"])

    def test_cannot_start(self) -> None:
        """A part that cannot start stops the daemon with status 1; no later one is started, earlier ones are stopped."""
        self.start()
        self.parts[0].starting.callback(None)
        self.parts[1].starting.errback(InternalError("the port is taken"))
        self.assertEqual(self.exits.statuses, [1])
        self.assertTrue(self.reactor.hasStopped)
        for part in self.parts:
            part.stopping.callback(None)
        self.successResultOf(self.staged.stopService())
        self.assertEqual(self.diary, ["start a", "start b", "stop b", "stop a"])

    def test_unexpected(self) -> None:
        """An error that nobody foresaw is logged with its traceback."""
        self.start()
        self.parts[0].starting.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.exits.statuses, [1])

    def test_patience(self) -> None:
        """A part that does not stop is given up, and those below it are stopped all the same."""
        self.start()
        self.parts[0].starting.callback(None)
        self.parts[0].stopping.callback(None)
        stopped = self.staged.stopService()
        self.assertEqual(self.diary[-1], "stop b")
        self.reactor.advance(5)
        self.successResultOf(stopped)
        self.assertEqual(self.diary[-1], "stop a")
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class SignalsTests(SynchronousTestCase):
    def test_two_signals(self) -> None:
        """The first one stops the reactor, the second one kills the children and ends the process."""
        reactor, exits, killed = MemoryReactorClock(), Noted(), list[bool]()
        signals = Signals(reactor, lambda: killed.append(True), lambda: None, exits)
        signals.asked(signal.SIGTERM)
        self.assertEqual((reactor.hasStopped, killed, exits.ends), (True, [], []))
        signals.asked(signal.SIGINT)
        self.assertEqual((killed, exits.ends), ([True], [128 + signal.SIGINT]))
