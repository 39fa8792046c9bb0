"""
What the process is doing, for an operator who looks into it while it serves (configuration 10; decision table, `/debug/pprof`).

All of it is text. Values of variables are never shown, they may be secrets.
"""

import gc
import signal
import sys
import threading
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from types import CoroutineType, FrameType
from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from difyd.errors import InternalError

INTERVAL: Final = 0.005
"""Seconds of CPU between two samples."""
SHOWN: Final = 60
"""Lines of a summary."""


def stacks() -> str:
    """Every thread's stack, then the coroutines that wait, by where they wait."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts.append(f"thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}")
    waiting = Counter(_where(one) for one in gc.get_objects() if isinstance(one, CoroutineType) and one.cr_frame is not None)
    deferreds = sum(isinstance(one, Deferred) and not one.called for one in gc.get_objects())
    parts.append(f"{sum(waiting.values())} coroutines wait, {deferreds} Deferreds have not fired\n")
    parts += (f"{count:6} {place}\n" for place, count in waiting.most_common(SHOWN))
    return "\n".join(parts)


def _where(coroutine: "CoroutineType[object, object, object]") -> str:
    frame = coroutine.cr_frame
    return f"{coroutine.__qualname__} {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else coroutine.__qualname__


def heap() -> str:
    """What memory is used for: by place when the process was started with PYTHONTRACEMALLOC, else how many objects of which type."""
    if tracemalloc.is_tracing():
        statistics = tracemalloc.take_snapshot().statistics("lineno")
        return "".join(f"{one.size:12} B {one.count:8} objects {one.traceback}\n" for one in statistics[:SHOWN])
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    head = "Start the daemon with PYTHONTRACEMALLOC=1 to see memory by place.\n"
    return head + "".join(f"{count:8} {kind}\n" for kind, count in kinds.most_common(SHOWN))


@define(eq=False)
class Samples:
    """Where the reactor's thread was found, and how often: collapsed stacks, as flame graph tools read them."""

    _seen: Counter[str] = field(factory=Counter, init=False)

    def take(self, _signal: int, frame: FrameType | None) -> None:
        """A signal handler: `frame` is what it has interrupted."""
        outwards = list(_outwards(frame))
        self._seen[";".join(f"{one.f_code.co_qualname}:{one.f_lineno}" for one in reversed(outwards))] += 1

    def text(self) -> str:
        return "".join(f"{stack} {count}\n" for stack, count in self._seen.most_common())


async def profile(clock: IReactorTime, seconds: float) -> str:
    """
    Sample this thread, the reactor's, for so long, while the daemon goes on; raises InternalError when somebody does so already.

    A timer that runs on CPU time interrupts it. A thread that looks from outside would only see it where it lets others run: in system calls.
    """
    if signal.getitimer(signal.ITIMER_PROF)[0]:
        raise InternalError("a profile is being taken already")
    samples = Samples()
    before = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    waited: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(seconds, waited.callback, None)
    try:
        await waited
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return samples.text()


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
