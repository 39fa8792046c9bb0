"""Requests to install: what they answer, what they begin, and how the part that takes them stops."""

from difyd.catalog.installs import SHUTDOWN, Started
from difyd.errors import BadRequest, InternalError
from difyd.store.threads import Threads
from tests.catalog.house import NEWER, TENANT, WEATHER, House, named
from tests.store.inline import HeldPool, InlineReactor

FIRST, SECOND = named("first"), named("second")
UNKNOWN = named("nobody")


class Requests(House):
    """What the answer to a request says."""

    def test_nothing_asked(self) -> None:
        """An empty list is installed already."""
        self.assertEqual(self.got(self.installs.install(TENANT, [], "package", [])), Started())
        self.assertEqual(Started().to_json(), b'{"all_installed":true,"task_id":""}')

    def test_any_version_counts(self) -> None:
        """A tenant that has another version has the plugin: nothing begins."""
        self.have(WEATHER)
        self.upload(NEWER)
        self.assertEqual(self.install(NEWER), "")
        self.assertEqual(self.launcher.launches, [])

    def test_number_of_metas(self) -> None:
        """As many metas as plugins."""
        self.upload(WEATHER)
        text = self.refused(self.installs.install(TENANT, [WEATHER], "package", []), BadRequest)
        self.assertEqual(text, "the number of metas must be equal to the number of plugin unique identifiers")

    def test_never_uploaded(self) -> None:
        """One unknown plugin refuses all of the request; no task appears."""
        self.upload(WEATHER)
        text = self.refused(self.installs.install(TENANT, [WEATHER, UNKNOWN], "package", [{}, {}]), InternalError)
        self.assertEqual(text, "plugin not found\nfailed to get plugin declaration")
        self.assertEqual(self.got(self.tasks.list(TENANT, 1, 10)), b"[]")

    def test_record(self) -> None:
        """A task shows label, icon and source of each plugin, in the order of the request."""
        self.upload(FIRST, SECOND)
        task = self.task(self.install(SECOND, FIRST, source="github"))
        self.assertEqual([entry["plugin_unique_identifier"] for entry in task["plugins"]], [str(SECOND), str(FIRST)])
        self.assertEqual((task["status"], task["total_plugins"], task["completed_plugins"]), ("running", 2, 0))
        entry = task["plugins"][1]
        self.assertEqual(
            (entry["labels"], entry["icon"], entry["plugin_id"], entry["source"]), ({"en_US": "First"}, "icon.svg", "acme/first", "github")
        )

    def test_same_plugin_twice(self) -> None:
        """Twice in one request is one entry and one job."""
        self.upload(WEATHER)
        task = self.install(WEATHER, WEATHER)
        self.assertEqual(self.entries(task), [("running", "starting")])

    def test_gone_caller(self) -> None:
        """A caller that hangs up while his request is taken in stops nothing."""
        self.upload(WEATHER)
        asked = self.begun(self.installs.install(TENANT, [WEATHER], "package", [{}]))
        asked.addErrback(lambda _: None).cancel()
        self.launcher.ready(WEATHER)
        self.assertEqual(self.installed(), WEATHER)


class Stopping(House):
    """A daemon that ends while it installs."""

    def test_stop(self) -> None:
        """Running entries fail with the words of the specification; what had succeeded stays so; the launch is called off."""
        self.upload(FIRST, SECOND)
        task = self.install(FIRST, SECOND)
        self.launcher.ready(FIRST)
        self.stop(self.installs)
        self.assertEqual(self.entries(task), [("success", "installed"), ("failed", SHUTDOWN)])
        self.assertEqual((self.task(task)["status"], self.launcher.killed), ("failed", [SECOND]))

    def test_nothing_new(self) -> None:
        """After that nothing is begun."""
        self.upload(FIRST)
        self.stop(self.installs)
        self.refused(self.installs.install(TENANT, [FIRST], "package", [{}]), InternalError)

    def test_leases(self) -> None:
        """All leases are given back, so that another node need not wait for them to run out."""
        self.upload(FIRST)
        self.install(FIRST)
        self.stop(self.installs)
        self.stop(self.turns)
        self.assertEqual(self.leases._held, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_rows_are_written(self) -> None:
        """A transaction that is under way when the daemon stops decides: the plugin is installed, and nothing of it is cleared away."""
        self.upload(FIRST)
        pool = HeldPool()
        slow = Threads(InlineReactor(), pool)
        task = self.install(FIRST)
        fast, self.database._writers = self.database._writers, slow
        self.start(slow)
        self.launcher.ready(FIRST)
        stopped = self.installs.stopService()
        self.wait(10)
        self.assertNoResult(stopped)
        self.database._writers = fast
        pool.release()
        self.successResultOf(stopped)
        self.wait(10)
        self.assertEqual((self.entries(task), self.copies(), self.launcher.retired), ([("success", "installed")], [FIRST], []))
