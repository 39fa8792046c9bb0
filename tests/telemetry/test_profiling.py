"""What an operator sees who looks into the process."""

import sys

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

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
            samples.take(iter([sys._getframe()]))
        (line,) = samples.text().splitlines()
        self.assertTrue(line.startswith("ProfilingTests.test_samples:"))
        self.assertTrue(line.endswith(" 3"))

    def test_profile(self) -> None:
        """Ends after the time asked for; its thread ends with it, also when nobody waits any more."""
        clock = Clock()
        asked = Deferred.fromCoroutine(profile(clock, 5))
        self.assertNoResult(asked)
        clock.advance(5)
        self.successResultOf(asked)
        given_up = Deferred.fromCoroutine(profile(clock, 5))
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])
