"""Threads with a name and a life, for work that blocks."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from difyd.errors import ShuttingDown

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Service):
    """
    One purpose's threads: work queues here while all of them are busy, and is bounded by the calls that wait for it.

    Not the reactor's own pool: its ten threads also resolve host names.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._busy = 0
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
        deferToThreadPool(self._reactor, self._pool, work, *args, **kwargs).addBoth(self._done, answer)
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

    def _done(self, result: T | Failure, answer: Deferred[T]) -> None:
        self._busy -= 1
        if not answer.called:
            answer.callback(result)
        if self._idle is not None and not self._busy and not self._idle.called:  # who got the answer may have called stopService
            self._idle.callback(None)
