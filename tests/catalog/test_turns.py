"""Turns: installs of one node side by side, clearing away alone, one node at a time in the cluster."""

from difyd.catalog.claims import LEASE
from difyd.catalog.turns import RETRY, Turns
from tests.catalog.house import NEWER, WEATHER, House


class Taking(House):
    def setUp(self) -> None:
        super().setUp()
        self.other = Turns(self.clock, self.leases)  # another node with the same leases
        self.start(self.other)

    def test_installs_share(self) -> None:
        """Two installs of one plugin on a node do not wait for each other."""
        with self.got(self.turns.installing(WEATHER)), self.got(self.turns.installing(WEATHER)):
            pass

    def test_other_node_waits(self) -> None:
        """Another node has its turn when the last install of this one is over."""
        first, second = self.got(self.turns.installing(WEATHER)), self.got(self.turns.installing(WEATHER))
        waiting = self.begun(self.other.installing(WEATHER))
        with self.got(self.other.installing(NEWER)):  # other plugins are not in its way
            pass
        with first:
            pass
        self.wait(5)
        self.assertNoResult(waiting)
        with second:
            pass
        self.clock.advance(RETRY)
        with self.successResultOf(waiting):
            pass

    def test_lease_is_renewed(self) -> None:
        """However long it takes, the lease stays with whoever installs."""
        with self.got(self.turns.installing(WEATHER)):
            waiting = self.begun(self.other.installing(WEATHER))
            self.wait(10 * LEASE)
            self.assertNoResult(waiting)
        self.clock.advance(RETRY)
        with self.successResultOf(waiting):
            pass

    def test_nothing_is_removed_meanwhile(self) -> None:
        """Who wants to clear away is turned down while somebody installs, here or elsewhere."""
        with self.got(self.turns.installing(WEATHER)):
            self.assertIsNone(self.got(self.turns.removing(WEATHER)))
            self.assertIsNone(self.got(self.other.removing(WEATHER)))

    def test_installs_wait_for_a_removal(self) -> None:
        """An install begins when clearing away is done, here and elsewhere."""
        held = self.got(self.turns.removing(WEATHER))
        assert held is not None
        here, there = self.begun(self.turns.installing(WEATHER)), self.begun(self.other.installing(WEATHER))
        self.assertNoResult(here)
        with held:
            pass
        with self.successResultOf(here):
            self.wait(2)
            self.assertNoResult(there)
        self.clock.advance(RETRY)
        with self.successResultOf(there):
            pass

    def test_giving_up(self) -> None:
        """Who is cancelled while he waits leaves nothing behind."""
        held = self.got(self.turns.removing(WEATHER))
        assert held is not None
        waiting = self.begun(self.turns.installing(WEATHER)).addErrback(lambda _: None)
        waiting.cancel()
        with held:
            pass
        self.assertEqual((self.turns._turns, set(self.leases._held)), ({}, {"installs:node-1"}))

    def test_nothing_stays(self) -> None:
        """When everybody is done there is no lease, no timer and no memory of it."""
        with self.got(self.turns.installing(WEATHER)):
            pass
        removal = self.got(self.turns.removing(WEATHER))
        assert removal is not None
        with removal:
            pass
        self.assertEqual((self.turns._turns, set(self.leases._held)), ({}, {"installs:node-1"}))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)  # for the node's own lease
