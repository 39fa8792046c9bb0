"""Threads with a name and a life, for work that blocks."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from difyd.errors import ShuttingDown

P = ParamSpec("P")
T = TypeVar("T")

_TOGETHER: Final = 16
"""Calls that one trip to the thread takes at most."""
_TRIP: Final = 0.02
"""Seconds after which a trip begins no further call: nobody waits much longer for those after it."""


class Threads(Service):
    """
    One purpose's threads: work queues here while all of them are busy, and is bounded by the calls that wait for it.

    Not the reactor's own pool: its ten threads also resolve host names.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._busy = 0
        """Calls that have not been answered."""
        self._idle: Deferred[None] | None = None

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """
        Call `work` on a thread; its result or its exception comes back.

        Cancelling gives up the answer, not the work. Fails with ShuttingDown when the threads have been stopped or never started.
        """
        answer: Deferred[T] = Deferred(lambda _: None)  # with a canceller: what comes after a cancel is dropped without a complaint
        if not self.running:
            answer.errback(ShuttingDown())
            return answer
        self._busy += 1
        self._begin(answer, partial(work, *args, **kwargs))
        return answer

    def startService(self) -> None:
        Service.startService(self)
        self._pool.start()

    def stopService(self) -> Deferred[None]:
        """Takes no more work, lets what was taken come to its end, and joins the threads."""
        if not self.running:
            return succeed(None)
        Service.stopService(self)
        self._idle = Deferred()
        if not self._busy:
            self._idle.callback(None)
        return self._idle.addCallback(lambda _: self._pool.stop())

    def _begin(self, answer: Deferred[T], work: Callable[[], T]) -> None:
        deferToThreadPool(self._reactor, self._pool, work).addBoth(self._done, answer)

    def _done(self, result: T | Failure, answer: Deferred[T]) -> None:
        self._busy -= 1
        if not answer.called:
            answer.callback(result)
        if self._idle is not None and not self._busy and not self._idle.called:  # who got the answer may have called stopService
            self._idle.callback(None)


class OneThread(Threads):
    """
    One thread, for work that has to stand in line anyway: it takes all that has queued in one trip, in order, and answers in one.

    A trip costs two wake-ups, and whenever both threads want to run, many hand-overs of the interpreter's lock: under load together more
    than a small transaction itself. What is alone in the queue goes at once. The pool must have one thread.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reactor, pool)
        self._clock = clock
        self._queue: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self._travelling = False

    def _begin(self, answer: Deferred[T], work: Callable[[], T]) -> None:
        self._queue.append((answer, work))
        self._set_off()

    def _set_off(self) -> None:
        if self._travelling or not self._queue:
            return
        self._travelling = True
        taken = self._queue[:_TOGETHER]
        answers, works = zip(*taken, strict=True)
        deferToThreadPool(self._reactor, self._pool, self._trip_blocking, works).addBoth(self._back, answers)

    def _trip_blocking(self, works: tuple[Callable[[], Any], ...]) -> list[Any]:
        """The results of as many as there was time for, a Failure for each that raised."""
        end = self._clock() + _TRIP
        results: list[Any] = []
        for work in works:
            try:
                results.append(work())
            except Exception:
                results.append(Failure())
            if self._clock() >= end:
                break
        return results

    def _back(self, results: list[Any] | Failure, answers: tuple[Deferred[Any], ...]) -> None:
        if isinstance(results, Failure):  # something that is no Exception, of which nobody can say whose it is
            results = [results] * len(answers)
        del self._queue[: len(results)]
        self._travelling = False
        self._set_off()  # first: who hears of a result may take long
        for answer, result in zip(answers, results, strict=False):
            self._done(result, answer)
