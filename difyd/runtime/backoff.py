"""When a plugin that failed is tried again (local-runtime 12.4, 14.7)."""

from collections.abc import Callable
from typing import Final

from attrs import define, field

from difyd.entities.identifier import PluginIdentifier

FIRST: Final = 1.0
LONGEST: Final = 300.0
"""Seconds between two attempts: 1, 2, 4 ... 300."""
STABLE: Final = 600.0
"""Seconds that a process must have lived for its death to count as the first one."""
HOPELESS: Final = 2
"""Failures in a row by a plugin's own doing after which nobody waits for the next attempt: one may be chance."""
GIVE_UP: Final = 15
"""Failures after which nobody tries unasked any more, until this node restarts or the plugin is installed again."""


@define(eq=False)
class Backoff:
    """
    The failures of one plugin, of whatever kind, and what they mean for the next attempt.

    `jitter` gives a number between 0 and 1: plugins that failed together are not tried again together.
    """

    _jitter: Callable[[], float]
    failures: int = field(default=0, init=False)
    cause: str = field(default="", init=False)
    """Of the last failure."""
    _doublings: int = field(default=0, init=False)
    _own: int = field(default=0, init=False)
    """Starts that failed since the last good one, by the plugin's own doing."""
    _due: float = field(default=0.0, init=False)

    def failed(self, now: float, cause: str, *, outside: bool = False) -> float:
        """An attempt failed at `now`, by something from `outside` or by the plugin's own doing: seconds until the next one."""
        self.cause = cause
        self._own += not outside
        return self._next(now)

    def _next(self, now: float) -> float:
        delay = min(LONGEST, FIRST * 2.0 ** min(self._doublings, 16)) * (0.8 + 0.4 * self._jitter())
        self.failures += 1
        self._doublings += 1
        self._due = now + delay
        return delay

    def died(self, now: float, lived: float, cause: str) -> float:
        """A process that had been ready died at `now`, after `lived` seconds: seconds until its successor may start; 0 for the first death."""
        if lived >= STABLE:
            self.reset()
        self.cause = cause
        if self.failures:
            return self._next(now)
        self.failures = 1
        return 0.0

    def started(self) -> None:
        """A process is ready: what the last one failed of explains nothing any more. The pauses grow on until one has proved stable."""
        self.cause, self._own = "", 0

    def reset(self) -> None:
        """All is well, or somebody has changed something: the next attempt is the first."""
        self.failures, self.cause, self._doublings, self._own, self._due = 0, "", 0, 0, 0.0

    def wait(self, now: float) -> float:
        """Seconds until an attempt is allowed, 0 when it is."""
        return max(0.0, self._due - now)

    def in_vain(self, now: float, patience: float) -> bool:
        """Is somebody who would wait for `patience` seconds better told the cause now? Not while an attempt is made: its outcome is news."""
        left = self.wait(now)
        return left > patience or (left > 0 and self._own >= HOPELESS)

    @property
    def given_up(self) -> bool:
        return self.failures >= GIVE_UP


@define(eq=False)
class Backoffs:
    """One for each plugin that anybody asked about."""

    _jitter: Callable[[], float]
    _known: dict[PluginIdentifier, Backoff] = field(factory=dict, init=False)

    def of(self, identifier: PluginIdentifier) -> Backoff:
        backoff = self._known.get(identifier)
        if backoff is None:
            backoff = self._known[identifier] = Backoff(self._jitter)
        return backoff

    def forget(self, identifier: PluginIdentifier) -> None:
        """It is gone: should it come back, it begins anew."""
        self._known.pop(identifier, None)
