"""When a failing plugin is tried again."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.backoff import GIVE_UP, LONGEST, STABLE, Backoff


class BackoffTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.backoff = Backoff(lambda: 0.5)

    def test_growing(self) -> None:
        """Pauses double from one second to five minutes."""
        delays = [self.backoff.failed(0.0, "why") for _ in range(11)]
        self.assertEqual(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST])

    def test_jitter(self) -> None:
        """Plugins that failed together are spread over a fifth of the pause before and after it."""
        self.assertAlmostEqual(Backoff(lambda: 0.0).failed(0.0, ""), 0.8)
        self.assertAlmostEqual(Backoff(lambda: 1.0).failed(0.0, ""), 1.2)

    def test_first_death(self) -> None:
        """The first process to die has its successor at once, the next one after a pause."""
        self.assertEqual([self.backoff.died(0.0, 5.0, "killed") for _ in range(3)], [0.0, 1.0, 2.0])

    def test_stable(self) -> None:
        """A process that lived for ten minutes has shown that all is well."""
        for _ in range(5):
            self.backoff.died(0.0, 5.0, "killed")
        self.assertEqual(self.backoff.died(0.0, STABLE, "killed"), 0.0)

    def test_in_vain(self) -> None:
        """A second failure in a row by the plugin's own doing is not waited out; one from outside is, unless the pause is too long."""
        self.backoff.failed(0.0, "no grapes")
        self.backoff.failed(0.0, "killed", outside=True)
        self.assertEqual([self.backoff.in_vain(0.0, patience) for patience in (1.9, 2.0)], [True, False])
        self.backoff.failed(0.0, "no grapes")
        self.assertTrue(self.backoff.in_vain(3.9, 30.0))
        self.assertFalse(self.backoff.in_vain(4.0, 30.0))

    def test_started(self) -> None:
        """A good start makes the next failure the first of its row; the pauses stay long."""
        for _ in range(2):
            self.backoff.failed(0.0, "no grapes")
        self.backoff.started()
        self.assertEqual(self.backoff.cause, "")
        self.assertEqual(self.backoff.failed(0.0, "no grapes"), 4.0)
        self.assertFalse(self.backoff.in_vain(0.0, 30.0))

    def test_due(self) -> None:
        """An attempt is allowed again when the pause is over; the cause is remembered meanwhile."""
        self.backoff.failed(100.0, "no grapes")
        self.assertEqual((self.backoff.wait(100.5), self.backoff.cause), (0.5, "no grapes"))
        self.assertEqual(self.backoff.wait(101.5), 0.0)

    def test_giving_up(self) -> None:
        """After many failures nobody tries unasked, until somebody installs it again."""
        for _ in range(GIVE_UP - 1):
            self.backoff.failed(0.0, "")
        self.assertFalse(self.backoff.given_up)
        self.backoff.failed(0.0, "")
        self.assertTrue(self.backoff.given_up)
        self.backoff.reset()
        self.assertEqual((self.backoff.given_up, self.backoff.wait(0.0)), (False, 0.0))
