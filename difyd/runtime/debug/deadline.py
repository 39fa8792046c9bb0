"""One alarm for one connection."""

from collections.abc import Callable
from math import inf

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Deadline:
    """
    Calls `passed` once when the time that was given last is over; what is given later replaces what was given before.

    A deadline of silence is put off by every `renew`, which costs next to nothing: it is called for each read.
    """

    _clock: IReactorTime
    _passed: Callable[[], None]
    _alarm: IDelayedCall | None = field(default=None, init=False)
    _silence: float | None = field(default=None, init=False)
    _last: float = field(default=inf, init=False)

    def within(self, seconds: float) -> None:
        """So much later, whatever happens."""
        self.never()
        self._alarm = self._clock.callLater(seconds, self._ring)

    def unless_silent(self, seconds: float) -> None:
        """So much later, unless it is renewed."""
        self.within(self._bounded(seconds))
        self._silence = seconds

    def at_most(self, seconds: float) -> None:
        """No deadline of silence is put off beyond this moment; `inf` for none."""
        self._last = self._clock.seconds() + seconds

    def renew(self) -> None:
        """There was no silence. Does nothing for a deadline of another kind."""
        if self._silence is not None and self._alarm is not None:
            self._alarm.reset(self._bounded(self._silence))

    def never(self) -> None:
        """No deadline any more."""
        alarm, self._alarm, self._silence = self._alarm, None, None
        if alarm is not None:
            alarm.cancel()

    def _bounded(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._last - self._clock.seconds()))

    def _ring(self) -> None:
        self._alarm = self._silence = None
        self._passed()
