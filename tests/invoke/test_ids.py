"""Names of sessions."""

from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from difyd.invoke.ids import BLOCK, SessionIds


class SessionIdsTests(SynchronousTestCase):
    def test_uuids(self) -> None:
        """Each is a UUID of version 4 in its usual form, and none comes twice, over several blocks."""
        ids = SessionIds()
        made = [ids.new() for _ in range(3 * BLOCK)]
        self.assertEqual(len(set(made)), len(made))
        self.assertEqual([str(UUID(one)) for one in made], made)
        self.assertEqual({(UUID(one).version, UUID(one).variant) for one in made}, {(4, UUID(made[0]).variant)})
