"""Jobs of installs: from the launch to the rows, what they say meanwhile, and what is left when they fail."""

from sqlalchemy import text

from difyd.catalog.removals import AGAIN
from difyd.store.database import listings
from tests.catalog.house import NEWER, OTHER, TENANT, WEATHER, House, named

FIRST, SECOND = named("first"), named("second")


class Running(House):
    """From the launch to the rows."""

    def test_success(self) -> None:
        """When the plugin is ready the copy is written, then rows and success appear together."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.assertEqual((self.entries(task), self.installed(), self.copies()), ([("running", "starting")], None, []))
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(task), self.installed(), self.copies()), ([("success", "installed")], WEATHER, [WEATHER]))
        self.assertEqual((self.task(task)["status"], self.task(task)["completed_plugins"]), ("success", 1))
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, WEATHER)

    def test_reserved(self) -> None:
        """The watch loops leave a plugin alone for as long as an install of it runs."""
        self.upload(WEATHER)
        self.install(WEATHER)
        self.assertEqual(self.launcher.reserved, [WEATHER])
        self.launcher.fail(WEATHER, "no")
        self.assertEqual(self.launcher.reserved, [])

    def test_meta(self) -> None:
        """Source and meta are kept with the installation."""
        self.upload(WEATHER)
        self.got(self.installs.install(TENANT, [WEATHER], "github", [{"repo": "a/b"}]))
        self.launcher.ready(WEATHER)
        row = self.got(self.database.read(listings.installed_blocking, TENANT, 1, 10)).records[0]
        self.assertEqual((row.source, bytes(row.meta)), ("github", b'{"repo":"a/b"}'))

    def test_mixed_batch(self) -> None:
        """What the tenant has already succeeds without a launch."""
        self.have(FIRST)
        self.upload(SECOND)
        task = self.install(FIRST, SECOND)
        self.assertEqual(self.entries(task), [("success", "installed"), ("running", "starting")])
        self.assertEqual(self.launcher.launches, [SECOND])

    def test_one_launch_for_two_tenants(self) -> None:
        """Tenants that install the same at the same time share the launch; both end."""
        self.upload(WEATHER)
        mine, theirs = self.install(WEATHER), self.install(WEATHER, tenant=OTHER)
        self.assertEqual(self.launcher.launches, [WEATHER])
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(mine), self.entries(theirs, OTHER)), ([("success", "installed")], [("success", "installed")]))
        self.assertEqual((self.installed(), self.installed(tenant=OTHER)), (WEATHER, WEATHER))

    def test_same_request_again(self) -> None:
        """The request repeated while it runs ends in success, too."""
        self.upload(WEATHER)
        both = [self.install(WEATHER), self.install(WEATHER)]
        self.launcher.ready(WEATHER)
        self.assertEqual([self.entries(task) for task in both], [[("success", "installed")]] * 2)

    def test_two_versions_at_once(self) -> None:
        """Of two versions that a tenant installs at the same time the first stays; the other one is cleared away."""
        self.upload(WEATHER, NEWER)
        old, new = self.install(WEATHER), self.install(NEWER)
        self.launcher.ready(NEWER)
        self.launcher.ready(WEATHER)
        self.wait(AGAIN)
        self.assertEqual((self.entries(old), self.entries(new)), ([("success", "installed")],) * 2)
        self.assertEqual((self.installed(), self.copies(), self.launcher.running), (NEWER, [NEWER], {NEWER}))

    def test_last_uninstall_meanwhile(self) -> None:
        """The last other tenant leaves while the install runs: it ends well, with process, copy and declaration."""
        theirs = self.have(WEATHER, OTHER)
        self.launcher.running.clear()  # so that the install has to wait
        task = self.install(WEATHER)
        self.got(self.uninstalls.uninstall(OTHER, theirs))
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(task), self.installed(), self.copies()), ([("success", "installed")], WEATHER, [WEATHER]))
        self.assertEqual(self.launcher.retired, [])
        self.known.drop(WEATHER)
        self.assertEqual(self.got(self.known.get(WEATHER)).view.name, "weather")

    def test_database_that_refuses(self) -> None:
        """A failure that cannot be noted now (the disk is full) is not lost: the monitor ends the task when it can."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.sql("CREATE TRIGGER full BEFORE UPDATE ON install_tasks BEGIN SELECT RAISE(FAIL, 'full'); END")
        self.launcher.fail(WEATHER, "no grapes")
        self.assertEqual(self.entries(task), [("running", "starting")])
        self.sql("DROP TRIGGER full")
        self.start(self.monitor)
        self.assertEqual(self.task(task)["status"], "failed")

    def sql(self, statement: str) -> None:
        self.got(self.database.run(lambda transaction: transaction.connection.execute(text(statement)).close()))

    def test_deleted_task(self) -> None:
        """Deleting a task stops nothing."""
        self.upload(WEATHER)
        self.got(self.tasks.delete(TENANT, self.install(WEATHER)))
        self.launcher.ready(WEATHER)
        self.assertEqual((self.installed(), self.got(self.tasks.list(TENANT, 1, 10))), (WEATHER, b"[]"))


class Progressing(House):
    """What the task says while one waits."""

    def test_quick_installs_say_nothing(self) -> None:
        """In the first seconds the message stays `starting`, whatever the launcher says."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.launcher.say(WEATHER, "Resolved 12 packages")
        self.wait(4.5)
        self.assertEqual(self.entries(task), [("running", "starting")])

    def test_latest_of_many(self) -> None:
        """Later the latest line is shown, once a second at most."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        writes = []
        self.launcher.say(WEATHER, "line 0")
        self.wait(5)
        for n in range(1, 201):
            self.launcher.say(WEATHER, f"line {n}")
            self.wait(0.01, 0.01)
            writes.append(self.entries(task)[0][1])
        self.assertEqual(writes[0], "line 0")
        self.assertLessEqual(len(set(writes)), 3)
        self.wait(1)
        self.assertEqual(self.entries(task), [("running", "line 200")])

    def test_result_is_last(self) -> None:
        """A line that waits for its time does not overwrite the result."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.launcher.say(WEATHER, "line")
        self.launcher.ready(WEATHER)
        self.wait(10)
        self.assertEqual(self.entries(task), [("success", "installed")])
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])  # but for the lease of the node


class Failing(House):
    """What is left of an install that fails."""

    def test_cause(self) -> None:
        """The launcher's words are the task's message; nothing is installed, no copy stays."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.launcher.fail(WEATHER, "failed to launch plugin: no grapes")
        self.assertEqual(self.entries(task), [("failed", "failed to launch plugin: no grapes")])
        self.assertEqual((self.task(task)["status"], self.installed(), self.copies()), ("failed", None, []))

    def test_log_stays(self) -> None:
        """The directory of what could not be launched, with the log of its build, is left for whoever looks into it."""
        self.upload(WEATHER)
        self.install(WEATHER)
        self.launcher.fail(WEATHER, "no")
        self.assertEqual(self.launcher.retired, [])

    def test_again(self) -> None:
        """A repeated install launches anew and succeeds."""
        self.upload(WEATHER)
        self.install(WEATHER)
        self.launcher.fail(WEATHER, "no")
        task = self.install(WEATHER)
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(task), self.installed()), ([("success", "installed")], WEATHER))

    def test_others_go_on(self) -> None:
        """One failing plugin fails the task, the others are installed."""
        self.upload(FIRST, SECOND)
        task = self.install(FIRST, SECOND)
        self.launcher.fail(FIRST, "no")
        self.assertEqual(self.task(task)["status"], "failed")
        self.launcher.ready(SECOND)
        self.assertEqual(self.entries(task), [("failed", "no"), ("success", "installed")])
        self.assertEqual((self.installed("first"), self.installed("second")), (None, SECOND))

    def test_package_lost(self) -> None:
        """A package that vanished fails the task in words; the process that needs nobody is stopped."""
        self.upload(WEATHER)
        self.got(self.blobs.delete(self.areas.package(WEATHER)))
        task = self.install(WEATHER)
        self.launcher.ready(WEATHER)
        self.assertEqual(
            self.entries(task),
            [("failed", "failed to move plugin to installed bucket: plugin package not found, please upload it firstly")],
        )
        self.assertEqual((self.installed(), self.launcher.retired), (None, [WEATHER]))

    def test_time_limit(self) -> None:
        """After PLUGIN_INSTALL_TIMEOUT the job is over, and its launch is called off."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.wait(899)
        self.assertEqual(self.entries(task), [("running", "starting")])
        self.wait(2)
        self.assertEqual(self.entries(task), [("failed", "timed out: the plugin was not installed within 900 s (PLUGIN_INSTALL_TIMEOUT)")])
        self.assertEqual(self.launcher.killed, [WEATHER])

    def test_time_limit_with_news(self) -> None:
        """The text says how far it had come."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.launcher.say(WEATHER, "Downloading grapes")
        self.wait(901)
        self.assertTrue(self.entries(task)[0][1].endswith("(PLUGIN_INSTALL_TIMEOUT); it had come to: Downloading grapes"))

    def test_unforeseen(self) -> None:
        """An error of ours ends the task, too, and is logged."""
        self.upload(WEATHER)
        task = self.install(WEATHER)
        for waiter in self.launcher._under_way.pop(WEATHER).waiting:
            waiter.errback(ZeroDivisionError("oops"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        status, message = self.entries(task)[0]
        self.assertEqual(status, "failed")
        self.assertNotIn("oops", message)
