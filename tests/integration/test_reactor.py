"""Our reactor: whatever Twisted promises of one, with real sockets and pipes."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from socket import socketpair
from subprocess import run
from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SkipTest, TestCase

REACTOR: Final = "difyd.reactor.Reactor"
THEIRS: Final = "_EPollReactorTests"
CONTRACT: Final = ("core", "time", "threads", "fdset", "tcp", "tls", "unix", "process")
"""Modules of Twisted with tests that every reactor has to pass."""
OTHERWISE: Final = {
    "test_lostFileDescriptor": "no reactor on epoll can notice that",
    "test_logPrefix": "ours puts nothing into Twisted's log context",
    "test_changeUID": "about the operating system; wants another user who can run this Python",
    "test_changeGID": "likewise",
}
"""Why a test is left out."""


class OurReactor(ReactorBuilder):
    _reactors = [REACTOR]


def contract() -> dict[str, type]:
    """Twisted's own tests, made for our reactor: those that Twisted makes for its reactor on epoll."""
    made: dict[str, type] = {}
    for name in CONTRACT:
        module = import_module(f"twisted.internet.test.test_{name}")
        for case in [each for each in vars(module) if each.endswith(THEIRS) and not each.startswith("PTY")]:
            base = getattr(module, case.removesuffix(THEIRS))
            left_out = {test: skipped(why) for test, why in OTHERWISE.items() if hasattr(base, test)}
            ours: Any = type(base.__name__, (base,), {"_reactors": [REACTOR], "__module__": __name__, **left_out})
            made |= ours.makeTestCaseClasses()
    return made


def skipped(why: str) -> Callable[[Any], None]:
    def test(_: Any) -> None:
        raise SkipTest(why)

    return test


class WritesTests(OurReactor):
    """What is special about it."""

    def descriptor(self, reactor: Any, do_write: Any) -> FileDescriptor:
        """One end of a connection whose `doWrite` is `do_write`."""
        ours, theirs = socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
            self.addCleanup(end.close)

        class Descriptor(FileDescriptor):
            lost: Any = None

            def fileno(self) -> int:
                return ours.fileno()

            def doWrite(self) -> Any:
                return do_write(self)

            def connectionLost(self, reason: Any) -> None:
                self.lost = reason

        return Descriptor(reactor)

    def test_error(self) -> None:
        """An error of one descriptor is logged and ends that descriptor; the others are served."""
        reactor = self.buildReactor()
        bad = self.descriptor(reactor, lambda _: 1 / 0)

        def stop(good: FileDescriptor) -> None:
            good.stopWriting()
            reactor.stop()

        good = self.descriptor(reactor, stop)
        reactor.callWhenRunning(lambda: (bad.startWriting(), good.startWriting()))
        self.runReactor(reactor)
        self.assertTrue(bad.lost.check(ZeroDivisionError))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_clock(self) -> None:
        """Timers do not notice that somebody sets the clock of the machine."""
        reactor, before = self.buildReactor(), time.monotonic()
        times: list[float] = []
        reactor.callLater(0.05, lambda: (times.append(reactor.seconds()), reactor.stop()))
        self.runReactor(reactor)
        self.assertLessEqual(before + 0.05, times[0])
        self.assertLessEqual(times[0], time.monotonic())

    def test_removed_before_its_turn(self) -> None:
        """Who stops writing in time is not called any more."""
        reactor = self.buildReactor()
        called = []
        second = self.descriptor(reactor, called.append)

        def stop(first: FileDescriptor) -> None:
            second.stopWriting()
            first.stopWriting()
            reactor.stop()

        first = self.descriptor(reactor, stop)
        reactor.callWhenRunning(lambda: (first.startWriting(), second.startWriting()))
        self.runReactor(reactor)
        self.assertEqual((called, reactor.getWriters()), ([], []))

    def test_endless_writer(self) -> None:
        """Who always has more to write does not keep timed calls from their turn."""
        reactor = self.buildReactor()

        def again(me: FileDescriptor) -> None:
            me.stopWriting()
            me.startWriting()

        endless = self.descriptor(reactor, again)
        reactor.callWhenRunning(endless.startWriting)
        reactor.callLater(0.01, reactor.stop)
        self.runReactor(reactor)


globals().update(contract())
globals().update(WritesTests.makeTestCaseClasses())


class ChoiceTests(TestCase):
    """Which reactor runs."""

    def chosen(self, *before: str) -> str:
        lines = [*before, "from difyd.tap import prefer_our_reactor", "prefer_our_reactor()", "from twisted.internet import reactor"]
        program = "; ".join([*lines, "print(type(reactor).__module__)"])
        return run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()

    def test_ours(self) -> None:
        """Ours, where nobody has chosen."""
        self.assertEqual(self.chosen(), "difyd.reactor" if sys.platform == "linux" else "twisted.internet.selectreactor")

    def test_theirs(self) -> None:
        """The one that was chosen, as by `twistd --reactor`."""
        self.assertEqual(self.chosen("from twisted.internet import pollreactor", "pollreactor.install()"), "twisted.internet.pollreactor")
