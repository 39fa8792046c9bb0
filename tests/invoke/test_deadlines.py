"""One time limit for many sessions."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.invoke.deadlines import Deadlines


class Patient:
    """Of a session, what the deadlines use of it."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.expired = clock, list[float]()

    def expire(self, seconds: float) -> None:
        self.expired.append(self.clock.seconds())


class DeadlinesTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
    def test_any_course(self, lives: list[tuple[int, int]]) -> None:
        """Whoever is open for the whole limit is ended then and once; nobody else is; one timer serves all, none is left."""
        clock = Clock()
        deadlines, sessions = Deadlines(clock, 10), [Patient(clock) for _ in lives]
        for now in range(75):
            for session, (opened, life) in zip(sessions, lives, strict=True):
                if opened + life == now:
                    deadlines.remove(session)  # type: ignore[arg-type]
                if opened == now and life:
                    deadlines.add(session)  # type: ignore[arg-type]
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
            clock.advance(1)
        for session, (opened, life) in zip(sessions, lives, strict=True):
            self.assertEqual(session.expired, [opened + 10] if life > 10 else session.expired[:0] if life < 10 else session.expired)
        self.assertEqual((len(deadlines), clock.getDelayedCalls()), (0, []))
