"""Upgrades: another version for a tenant, without a moment in which there is none."""

from difyd.catalog.removals import AGAIN
from tests.catalog.house import NEWER, OTHER, TENANT, WEATHER, House, named

FIRST, SECOND = named("first"), named("second")


class Upgrades(House):
    """Another version for a tenant."""

    def test_by_task(self) -> None:
        """The old version serves until the new one is ready; then look-ups find the new one, and the old one is cleared away."""
        self.have(WEATHER)
        self.upload(NEWER)
        task = self.upgrade(WEATHER, NEWER)
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, WEATHER)
        self.assertEqual(self.launcher.retired, [])
        self.launcher.ready(NEWER)
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, NEWER)
        self.assertEqual((self.entries(task), self.copies(), self.launcher.retired), ([("success", "upgraded")], [NEWER], [WEATHER]))

    def test_record(self) -> None:
        """The task of an upgrade shows neither icon nor label, but an English one, which clients need."""
        self.have(WEATHER)
        self.upload(NEWER)
        entry = self.task(self.upgrade(WEATHER, NEWER))["plugins"][0]
        self.assertEqual((entry["labels"], entry["icon"], entry["plugin_id"]), ({"en_US": ""}, "", "acme/weather"))

    def test_failing(self) -> None:
        """When the new version does not come up, the old one stays."""
        self.have(WEATHER)
        self.upload(NEWER)
        task = self.upgrade(WEATHER, NEWER)
        self.launcher.fail(NEWER, "no grapes")
        self.assertEqual((self.entries(task), self.installed(), self.launcher.retired), ([("failed", "no grapes")], WEATHER, []))

    def test_never_uploaded(self) -> None:
        """An unknown version fails the task and changes nothing."""
        self.have(WEATHER)
        task = self.upgrade(WEATHER, NEWER)
        self.assertEqual(self.entries(task), [("failed", "plugin not found\nfailed to get plugin declaration")])
        self.assertEqual(self.installed(), WEATHER)

    def test_at_once(self) -> None:
        """A version that another tenant uses needs no task; the next look-up finds it."""
        self.have(WEATHER)
        self.have(NEWER, OTHER)
        self.got(self.installations.find(TENANT, "acme/weather"))
        self.assertEqual(self.upgrade(WEATHER, NEWER), "")
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, NEWER)
        self.assertEqual((self.launcher.launches, self.launcher.retired), ([], [WEATHER]))

    def test_shared_old_version_stays(self) -> None:
        """A version that another tenant still uses is not cleared away."""
        self.have(WEATHER)
        self.have(WEATHER, OTHER)
        self.upload(NEWER)
        self.upgrade(WEATHER, NEWER)
        self.launcher.ready(NEWER)
        self.assertEqual((self.copies(), self.launcher.retired), ([WEATHER, NEWER], []))

    def test_there_and_back(self) -> None:
        """The version that was just left can be taken again."""
        self.have(WEATHER)
        self.upload(NEWER)
        self.upgrade(WEATHER, NEWER)
        self.launcher.ready(NEWER)
        self.upload(WEATHER)
        task = self.upgrade(NEWER, WEATHER)
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(task), self.installed(), self.copies()), ([("success", "upgraded")], WEATHER, [WEATHER]))

    def test_twice(self) -> None:
        """The same upgrade asked for twice ends in success twice."""
        self.have(WEATHER)
        self.upload(NEWER)
        both = [self.upgrade(WEATHER, NEWER), self.upgrade(WEATHER, NEWER)]
        self.launcher.ready(NEWER)
        self.assertEqual([self.entries(task) for task in both], [[("success", "upgraded")]] * 2)

    def test_uninstalled_meanwhile(self) -> None:
        """A plugin that the tenant removes while its successor starts stays removed; the successor is cleared away."""
        mine = self.have(WEATHER)
        self.upload(NEWER)
        task = self.upgrade(WEATHER, NEWER)
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.launcher.ready(NEWER)
        self.assertEqual(self.entries(task), [("failed", "plugin has not been installed")])
        self.wait(AGAIN)
        self.assertEqual((self.installed(), self.copies(), self.launcher.running), (None, [], set()))

    def test_refused(self) -> None:
        """Not to itself, not to another plugin, not from what the tenant does not have."""
        self.have(WEATHER, OTHER)
        for old, new, text in (
            (WEATHER, WEATHER, "original and new plugin unique identifier are the same"),
            (WEATHER, FIRST, "original and new plugin id are different"),
            (WEATHER, NEWER, "plugin installation not found for this tenant"),
        ):
            asked = self.begun(self.installs.upgrade(TENANT, old, new, "package", {}))
            self.assertEqual(str(self.failureResultOf(asked).value), text)
