"""One time limit for many sessions, with one timer."""

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from difyd.invoke.session import Session


@define(eq=False)
class Deadlines:
    """
    Ends sessions that are open for longer than `limit` seconds; `expired` is told of each.

    All have the same limit, so the one that was opened first is due first, and a single timer waits for it. A timer for each call would
    be made and cancelled thousands of times a second.
    """

    _clock: IReactorTime
    limit: float
    _due: dict[Session, float] = field(factory=dict, init=False)
    """In the order of opening."""
    _timer: IDelayedCall | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def add(self, session: Session) -> None:
        """Its time begins now."""
        self._due[session] = self._clock.seconds() + self.limit
        if self._timer is None:
            self._timer = self._clock.callLater(self.limit, self._look)

    def remove(self, session: Session) -> None:
        """It is over; nothing happens when it is not here."""
        self._due.pop(session, None)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for session, due in list(self._due.items()):
            if due > now:
                self._timer = self._clock.callLater(due - now, self._look)
                return
            del self._due[session]
            session.expire(self.limit)
