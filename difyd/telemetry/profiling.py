"""
What the process is doing, for an operator who looks into it while it serves (configuration 10; decision table, `/debug/pprof`).

All of it is text. Values of variables are never shown, they may be secrets.
"""

import gc
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

INTERVAL: Final = 0.01
"""Seconds between two samples."""
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

    def take(self, frames: Iterator[FrameType]) -> None:
        self._seen[";".join(f"{frame.f_code.co_qualname}:{frame.f_lineno}" for frame in frames)] += 1

    def text(self) -> str:
        return "".join(f"{stack} {count}\n" for stack, count in self._seen.most_common())


async def profile(clock: IReactorTime, seconds: float) -> str:
    """
    Sample the reactor's thread for so long, from a thread of its own, while the daemon goes on.

    Cancelling it ends the sampling.
    """
    samples, done, watched = Samples(), threading.Event(), threading.get_ident()

    def sample_blocking() -> None:
        while not done.wait(INTERVAL):
            frame = sys._current_frames().get(watched)
            if frame is not None:
                samples.take(reversed(list(_outwards(frame))))

    thread = threading.Thread(target=sample_blocking, name="profile", daemon=True)
    thread.start()
    waited: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(seconds, waited.callback, None)
    try:
        await waited
    finally:
        done.set()
    return samples.text()


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
