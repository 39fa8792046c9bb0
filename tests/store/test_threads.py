"""Threads with a life."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import ShuttingDown
from difyd.store.threads import Threads
from tests.store.inline import HeldPool, InlineReactor, inline_threads


class RunTests(SynchronousTestCase):
    def test_result(self) -> None:
        """What the work returns comes back."""
        threads = inline_threads()
        threads.startService()
        self.assertEqual(self.successResultOf(threads.run(divmod, 7, 2)), (3, 1))

    def test_exception(self) -> None:
        """What the work raises comes back as it is."""
        threads = inline_threads()
        threads.startService()
        self.failureResultOf(threads.run(divmod, 7, 0), ZeroDivisionError)

    def test_not_started(self) -> None:
        """Work for threads that do not run is refused, not kept for ever."""
        self.failureResultOf(inline_threads().run(divmod, 7, 2), ShuttingDown)


class StopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = HeldPool()
        self.threads = Threads(InlineReactor(), self.pool)
        self.threads.startService()

    def test_idle(self) -> None:
        """Threads that have nothing to do are joined at once."""
        self.successResultOf(self.threads.stopService())
        self.assertTrue(self.pool.stopped)

    def test_busy(self) -> None:
        """What was taken is finished, and only then the threads are joined; new work is refused meanwhile."""
        answers = [self.threads.run(divmod, 7, 2), self.threads.run(divmod, 9, 2)]
        stopped = self.threads.stopService()
        self.failureResultOf(self.threads.run(divmod, 1, 1), ShuttingDown)
        self.assertNoResult(stopped)
        self.assertFalse(self.pool.stopped)
        self.pool.release()
        self.assertEqual([self.successResultOf(answer) for answer in answers], [(3, 1), (4, 1)])
        self.successResultOf(stopped)
        self.assertTrue(self.pool.stopped)

    def test_cancelled(self) -> None:
        """Cancelling gives up the answer, not the work: the stop still waits for it, and a late failure is nobody's error."""
        answer = self.threads.run(divmod, 7, 0)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        stopped = self.threads.stopService()
        self.assertNoResult(stopped)
        self.pool.release()
        self.successResultOf(stopped)

    def test_stopped_by_the_last_answer(self) -> None:
        """Who gets the last answer may stop the threads at once."""
        stopped = []
        self.threads.run(divmod, 7, 2).addCallback(lambda _: stopped.append(self.threads.stopService()))
        self.pool.release()
        self.successResultOf(stopped[0])

    def test_never_started(self) -> None:
        """Stopping what never ran is no error: a start that failed half-way stops everything."""
        self.successResultOf(inline_threads().stopService())
