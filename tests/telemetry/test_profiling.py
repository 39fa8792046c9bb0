"""What an operator sees who looks into the process."""

import signal
import sys

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import InternalError
from difyd.telemetry.profiling import Samples, heap, profile, stacks


class ProfilingTests(SynchronousTestCase):
    def test_stacks(self) -> None:
        """Threads by name, and coroutines by the place where they wait."""

        async def patient(waiting: Deferred[None]) -> None:
            await waiting

        waiting: Deferred[None] = Deferred()
        work = Deferred.fromCoroutine(patient(waiting))
        told = stacks()
        self.assertIn("thread MainThread", told)
        self.assertIn("patient", told)
        waiting.callback(None)
        self.successResultOf(work)

    def test_heap(self) -> None:
        """Types and how many of them there are."""
        self.assertIn("builtins.dict", heap())

    def test_samples(self) -> None:
        """Equal stacks are counted together, outermost frame first."""
        samples = Samples()
        for _ in range(3):
            samples.take(0, sys._getframe())
        (line,) = samples.text().splitlines()
        self.assertRegex(line, r";ProfilingTests.test_samples:\d+ 3$")

    def test_profile(self) -> None:
        """Ends after the time asked for, or when nobody waits any more, and leaves no timer behind; there is one at a time."""
        clock = Clock()
        asked = Deferred.fromCoroutine(profile(clock, 5))
        self.assertNoResult(asked)
        self.failureResultOf(Deferred.fromCoroutine(profile(clock, 5)), InternalError)
        clock.advance(5)
        self.successResultOf(asked)
        given_up = Deferred.fromCoroutine(profile(clock, 5))
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertEqual((clock.getDelayedCalls(), signal.getitimer(signal.ITIMER_PROF)), ([], (0.0, 0.0)))
