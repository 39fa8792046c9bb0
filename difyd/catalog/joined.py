"""One piece of work for all who ask for the same at the same time."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@define(eq=False)
class Joined(Generic[K, V]):
    """
    Twenty calls that need one row make one query.

    Every asker has a Deferred of its own; cancelling it leaves the work to the others, and to its end when there are none.
    """

    _running: dict[K, list[Deferred[V]]] = field(factory=dict, init=False)

    def ask(self, key: K, work: Callable[[], Coroutine[Deferred[Any], Any, V]]) -> Deferred[V]:
        """The result of `work`, begun now unless it runs for `key` already."""
        answer: Deferred[V] = Deferred(lambda _: None)
        waiting = self._running.get(key)
        if waiting is not None:
            waiting.append(answer)
            return answer
        self._running[key] = [answer]
        Deferred.fromCoroutine(work()).addBoth(self._done, key)
        return answer

    def running(self, key: K) -> bool:
        return key in self._running

    def _done(self, result: V | Failure, key: K) -> None:
        for answer in self._running.pop(key):
            if not answer.called:
                answer.callback(result)
