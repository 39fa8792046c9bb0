"""Threads with a life."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import ShuttingDown
from difyd.store.threads import OneThread, Threads
from tests.store.inline import HeldPool, InlinePool, InlineReactor, inline_threads


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
    kind: type[Threads] = Threads

    def setUp(self) -> None:
        self.pool = HeldPool()
        self.threads = self.kind(InlineReactor(), self.pool)
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


class StopOneTests(StopTests):
    """One thread keeps the same promises."""

    kind = OneThread


class OneThreadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool, self.time, self.done = HeldPool(), 0.0, list[str]()
        self.threads = OneThread(InlineReactor(), self.pool, lambda: self.time)
        self.threads.startService()

    def work(self, name: str, seconds: float = 0.0) -> str:
        self.done.append(name)
        self.time += seconds
        if name == "bad":
            raise ValueError(name)
        return name

    def trip(self) -> list[str]:
        """What is done in one trip to the thread."""
        self.done = []
        (trip,), self.pool.waiting = self.pool.waiting, []
        on_result, function, args, kwargs = trip
        InlinePool().callInThreadWithCallback(on_result, function, *args, **kwargs)
        return self.done

    def test_together(self) -> None:
        """What queues while the thread works goes in the next trip, in order, each to its own answer."""
        answers = [self.threads.run(self.work, name) for name in ("a", "b", "bad", "c")]
        self.assertEqual(self.trip(), ["a"])
        self.assertEqual(self.successResultOf(answers[0]), "a")
        self.assertEqual(self.trip(), ["b", "bad", "c"])
        self.assertEqual([self.successResultOf(answers[1]), self.successResultOf(answers[3])], ["b", "c"])
        self.failureResultOf(answers[2], ValueError)
        self.assertEqual(self.pool.waiting, [])

    def test_long(self) -> None:
        """A trip that has taken long comes back; the rest goes in the next one, before what came later."""
        answers = [self.threads.run(self.work, name, 0.03) for name in ("a", "b", "c")]
        self.trip()
        self.assertEqual(self.trip(), ["b"])
        self.threads.run(self.work, "d")
        self.assertNoResult(answers[2])
        self.assertEqual(self.trip(), ["c"])
        self.assertEqual(self.trip(), ["d"])

    def test_many(self) -> None:
        """A trip takes sixteen at most."""
        for number in range(20):
            self.threads.run(self.work, str(number))
        self.assertEqual([len(self.trip()) for _ in range(3)], [1, 16, 3])

    def test_asked_by_an_answer(self) -> None:
        """Who gets an answer may ask for more at once."""
        self.threads.run(self.work, "a").addCallback(lambda _: self.threads.run(self.work, "b"))
        self.assertEqual([self.trip(), self.trip()], [["a"], ["b"]])
