"""What the person at the console reads while a plugin is brought up."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.runtime.interfaces import IProgress

FIRST: Final = 5.0
"""Seconds in which the message stays `starting`: who waits no longer needs no details."""
PAUSE: Final = 1.0
"""Seconds between the end of one write and the next: an installer may say hundreds of lines in that time."""


@implementer(IProgress)
@define(eq=False)
class Progress:
    """Writes the latest of many lines to the task, seldom. One at a time, and none after `finish`, so that no line overtakes the result."""

    log = Logger()
    _clock: IReactorTime
    _write: Callable[[str], Coroutine[Deferred[Any], Any, None]]
    latest: str = field(default="", init=False)
    _shown: str = field(default="", init=False)
    _next: float = field(init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _writing: Deferred[None] | None = field(default=None, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)
    _over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._next = self._clock.seconds() + FIRST

    def info(self, text: str) -> None:
        """See IProgress."""
        self.latest = text
        self._arm()

    async def finish(self) -> None:
        """Nothing is written any more when this returns."""
        self.close()
        if self._writing is not None:
            over: Deferred[None] = Deferred(self._forget)
            self._waiting.append(over)
            await over

    def close(self) -> None:
        """Begin no further write."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._writing is None and not self._over and self.latest != self._shown:
            self._timer = self._clock.callLater(max(0.0, self._next - self._clock.seconds()), self._show)

    def _show(self) -> None:
        self._timer = None
        self._shown = self.latest
        self._writing = Deferred.fromCoroutine(self._write(self._shown))
        self._writing.addErrback(self._failed).addBoth(self._written)

    def _failed(self, failure: Failure) -> None:
        self.log.warn("cannot show the progress of an install: {why}", why=failure.getErrorMessage())

    def _written(self, _: None) -> None:
        self._writing = None
        self._next = self._clock.seconds() + PAUSE
        waiting, self._waiting = self._waiting, []
        for over in waiting:
            over.callback(None)
        self._arm()

    def _forget(self, over: Deferred[None]) -> None:
        self._waiting.remove(over)
