"""Tasks and who looks after them, also across a kill."""

from difyd.catalog.installs import SHUTDOWN
from difyd.store.database import tasks
from tests.catalog.house import TENANT, House, named

FIRST, SECOND = named("first"), named("second")


class Owning(House):
    """Tasks and who looks after them."""

    def killed(self) -> None:
        """The daemon dies: its leases run out with it, its jobs never end. The next run begins on the same data."""
        self.leases = type(self.leases)(self.clock)
        self.build("node-2")

    def test_after_a_kill(self) -> None:
        """The first look of the next run fails what the killed one left, and nothing else."""
        self.upload(FIRST, SECOND)
        left = self.install(FIRST, SECOND)
        self.launcher.ready(FIRST)
        self.killed()
        mine = self.install(SECOND)
        self.start(self.monitor)
        self.assertEqual(self.entries(left), [("success", "installed"), ("failed", SHUTDOWN)])
        self.assertEqual(self.entries(mine), [("running", "starting")])

    def test_other_node_alive(self) -> None:
        """Tasks of a node that holds its lease are its own business, however long they take."""
        self.upload(FIRST)
        task = self.install(FIRST)
        self.build("node-2")
        self.start(self.monitor)
        self.wait(700, 10)
        self.assertEqual(self.entries(task), [("running", "starting")])

    def test_without_owner(self) -> None:
        """A task of an older daemon is given up when nothing has happened to it for long."""
        self.upload(FIRST)
        entry = tasks.TaskEntry(plugin_unique_identifier=str(FIRST), labels={"en_US": ""}, plugin_id=FIRST.plugin_id)
        task = self.got(self.database.run(tasks.create_blocking, TENANT, [entry]))
        self.start(self.monitor)
        self.wait(950, 10)
        self.assertEqual(self.task(task)["status"], "running")
        self.wait(60, 10)
        self.assertEqual(self.entries(task), [("failed", "Task timed out but not properly terminated")])

    def test_success_is_deleted(self) -> None:
        """A task that succeeded as a whole goes after two minutes; one that failed stays."""
        self.upload(FIRST, SECOND)
        good, bad = self.install(FIRST), self.install(SECOND)
        self.launcher.ready(FIRST)
        self.launcher.fail(SECOND, "no")
        self.start(self.monitor)
        self.wait(115, 5)
        self.assertEqual(self.task(good)["status"], "success")
        self.wait(40, 5)
        listed = self.got(self.tasks.list(TENANT, 1, 10))
        self.assertNotIn(good.encode(), listed)
        self.assertIn(bad.encode(), listed)

    def test_end_that_was_not_written(self) -> None:
        """A task of ours without a job, because its end could not be written, is ended by the monitor."""
        self.upload(FIRST)
        task = self.install(FIRST)
        self.installs._live.clear()
        self.start(self.monitor)
        self.assertEqual(self.entries(task), [("failed", "Task timed out but not properly terminated")])
        self.installs._live[task] = 1
