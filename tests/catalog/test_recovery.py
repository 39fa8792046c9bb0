"""What the start of a daemon puts right."""

from sqlalchemy import text

from difyd.catalog.recovery import Recovery
from difyd.store.database import installations
from tests.catalog.house import TENANT, House, named

FIRST, SECOND = named("first"), named("second")


class Cleared(House):
    """What the start of a daemon finds."""

    def test_orphans(self) -> None:
        """A copy without a row is removed, with whatever its process left; what is installed stays."""
        self.have(FIRST)
        self.upload(SECOND)
        self.got(self.packages.mark_installed(SECOND))
        self.start(Recovery(self.database, self.packages, self.removals))
        self.assertEqual((self.copies(), self.launcher.retired), ([FIRST], [SECOND]))

    def test_reference_counts(self) -> None:
        """A wrong count is put right, so that the last uninstall is known as such."""
        mine = self.have(FIRST)
        self.got(self.database.run(lambda transaction: transaction.connection.execute(text("UPDATE plugins SET refers = 7")).close()))
        self.start(Recovery(self.database, self.packages, self.removals))
        removed = self.got(self.database.run(installations.uninstall_blocking, TENANT, mine))
        self.assertTrue(removed.last)
