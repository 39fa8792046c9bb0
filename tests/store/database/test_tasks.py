"""Install tasks: what the console polls."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update
from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database import tasks
from difyd.store.database.records import TaskEntry
from difyd.store.database.tables import install_tasks, jobs
from tests.store.database.cases import NOBODY, OTHER, TENANT, WEATHER, WEATHER_2, DatabaseCase, SQLiteCase, plugin

MAPS = plugin("maps")


def entry(identifier, **more) -> TaskEntry:
    return TaskEntry(identifier.text, {"en_US": identifier.name}, "icon.svg", plugin_id=identifier.plugin_id, source="package", **more)


class TasksContract(DatabaseCase):
    def create(self, *identifiers, tenant: str = TENANT, **more) -> str:
        return self.do(tasks.create_blocking, tenant, [entry(identifier) for identifier in identifiers], **more)

    def update(self, task: str, identifier, status: str | None = None, message: str | None = None):
        return self.do(tasks.update_blocking, task, identifier, status=status, message=message)

    def get(self, task: str):
        return self.read(tasks.get_blocking, TENANT, task)

    def state(self, task: str) -> tuple:
        found = self.get(task)
        return found.status, found.completed_plugins, [each.status for each in found.plugins]

    def unfinished(self, **more) -> list[str]:
        return [each.task.id for each in self.read(tasks.unfinished_blocking, **more)]

    def test_created(self) -> None:
        """A new task is running, its entries wait; its JSON is that of the wire."""
        task = self.create(WEATHER, MAPS)
        expected = {
            "id": task,
            "created_at": "2026-03-01T08:15:05.12Z",
            "updated_at": "2026-03-01T08:15:05.12Z",
            "status": "running",
            "tenant_id": TENANT,
            "total_plugins": 2,
            "completed_plugins": 0,
            "plugins": [
                {
                    "plugin_unique_identifier": identifier.text,
                    "labels": {"en_US": identifier.name},
                    "icon": "icon.svg",
                    "icon_dark": "",
                    "plugin_id": identifier.plugin_id,
                    "status": "pending",
                    "message": "",
                    "source": "package",
                }
                for identifier in (WEATHER, MAPS)
            ],
        }
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(self.get(task))), expected)
        self.assertEqual(self.read(tasks.list_blocking, TENANT, 1, 10), [self.get(task)])

    def test_success(self) -> None:
        """Every success is counted once; the last one ends the task."""
        task = self.create(WEATHER, MAPS)
        self.update(task, WEATHER, "running", "starting")
        self.assertEqual(self.state(task), ("running", 0, ["running", "pending"]))
        self.update(task, WEATHER, "success", "installed")
        self.update(task, WEATHER, "success")
        self.assertEqual(self.state(task), ("running", 1, ["success", "pending"]))
        done = self.update(task, MAPS, "success", "installed")
        self.assertEqual(done, self.get(task))
        self.assertEqual(self.state(task), ("success", 2, ["success", "success"]))
        self.assertGreater(done.updated_at, done.created_at)

    def test_failure(self) -> None:
        """One failure fails the task at once, the others go on; success of all in the end beats it."""
        task = self.create(WEATHER, MAPS)
        self.update(task, WEATHER, "failed", "no disk")
        self.assertEqual(self.state(task), ("failed", 0, ["failed", "pending"]))
        self.update(task, MAPS, "success", "installed")
        self.assertEqual(self.state(task), ("failed", 1, ["failed", "success"]))
        self.update(task, WEATHER, "success", "installed")
        self.assertEqual(self.state(task), ("success", 2, ["success", "success"]))
        self.update(task, MAPS, "failed", "gone again")
        self.assertEqual(self.state(task), ("failed", 1, ["success", "failed"]))

    def test_message_alone(self) -> None:
        """Progress changes the message, and a status without a message keeps it."""
        task = self.create(WEATHER)
        self.update(task, WEATHER, "running", "starting")
        self.update(task, WEATHER, message="downloading")
        self.update(task, WEATHER, "running")
        (only,) = self.get(task).plugins
        self.assertEqual((only.status, only.message), ("running", "downloading"))

    def test_first_entry(self) -> None:
        """Of two entries of one plugin the first is the one."""
        task = self.create(WEATHER, WEATHER)
        self.update(task, WEATHER, "failed", "x")
        self.assertEqual(self.state(task)[2], ["failed", "pending"])

    def test_gone(self) -> None:
        """Updates of what somebody has deleted find nothing and say so."""
        task = self.create(WEATHER)
        self.assertIsNone(self.update(task, MAPS, "failed"))
        self.assertIsNone(self.update(NOBODY, WEATHER, "failed"))
        self.assertFalse(self.do(tasks.fail_blocking, NOBODY, "x"))
        self.assertEqual(self.state(task), ("running", 0, ["pending"]))

    def test_same_time(self) -> None:
        """Entries that end at the same time are all counted."""
        identifiers = [plugin(f"p{number}") for number in range(8)]
        task = self.create(*identifiers)
        self.at_once(
            *[self.transaction(tasks.update_blocking, task, identifier, status="success", message="installed") for identifier in identifiers]
        )
        self.assertEqual(self.state(task), ("success", 8, ["success"] * 8))

    def test_fail(self) -> None:
        """A shutdown fails what has not ended and leaves what has."""
        task = self.create(WEATHER, MAPS, WEATHER_2)
        self.update(task, WEATHER, "success", "installed")
        self.update(task, MAPS, "failed", "no disk")
        self.assertTrue(self.do(tasks.fail_blocking, task, "An unexpected daemon shutdown occurred"))
        self.assertEqual(self.state(task), ("failed", 1, ["success", "failed", "failed"]))
        messages = [each.message for each in self.get(task).plugins]
        self.assertEqual(messages, ["installed", "no disk", "An unexpected daemon shutdown occurred"])
        self.assertFalse(self.do(tasks.fail_blocking, task, "again"))

    def test_unfinished(self) -> None:
        """What a start has to look after: also a failed task of which an entry still runs; with its owner and its notes."""
        running = self.create(WEATHER, owner="node", job=b'{"original":null}')
        failed = self.create(WEATHER, MAPS)
        self.update(failed, WEATHER, "failed", "x")
        ended = self.create(WEATHER)
        self.update(ended, WEATHER, "failed", "x")
        self.update(self.create(WEATHER), WEATHER, "success", "installed")
        found = self.read(tasks.unfinished_blocking)
        self.assertEqual([(each.task, each.owner, each.job) for each in found], [
            (self.get(running), "node", b'{"original":null}'),
            (self.get(failed), "", b""),
        ])  # fmt: skip
        self.do(tasks.fail_blocking, failed, "x")
        self.assertEqual(self.unfinished(), [running])

    def test_unfinished_of_the_reference(self) -> None:
        """A row without a job is unfinished by its status."""
        task = self.create(WEATHER)
        self.do(lambda transaction: transaction.connection.execute(delete(jobs)))
        self.assertEqual(self.unfinished(), [task])

    def test_untouched(self) -> None:
        """Only those that nobody has changed since a time."""
        old = self.create(WEATHER)
        self.time += 100
        since = datetime.fromtimestamp(self.time, UTC)
        touched, new = self.create(MAPS), self.create(WEATHER)
        self.assertEqual(self.unfinished(untouched_since=since), [old])
        self.update(old, WEATHER, message="still there")
        self.assertEqual(self.unfinished(untouched_since=since), [])
        self.assertEqual(self.unfinished(untouched_since=since + timedelta(minutes=5)), [old, touched, new])

    def test_listed(self) -> None:
        """A tenant's tasks, newest first, in pages."""
        made = [self.create(WEATHER) for _ in range(5)]
        self.create(WEATHER, tenant=OTHER)
        pages = [[task.id for task in self.read(tasks.list_blocking, TENANT, page, 2)] for page in (1, 2, 3, 4)]
        self.assertEqual(pages, [made[:2:-1], made[2:0:-1], made[:1], []])

    def test_anothers(self) -> None:
        """Another tenant's task is not there."""
        task = self.create(WEATHER)
        self.assertIsNone(self.read(tasks.get_blocking, OTHER, task))
        self.assertFalse(self.do(tasks.delete_blocking, OTHER, task))
        self.do(tasks.delete_entry_blocking, OTHER, task, WEATHER)
        self.assertEqual(self.state(task), ("running", 0, ["pending"]))

    def test_deleted(self) -> None:
        """One, or all of the tenant; a job goes with its task."""
        task, *_ = [self.create(WEATHER) for _ in range(3)]
        other = self.create(WEATHER, tenant=OTHER)
        self.assertTrue(self.do(tasks.delete_blocking, TENANT, task))
        self.assertFalse(self.do(tasks.delete_blocking, TENANT, task))
        self.assertEqual(self.do(tasks.delete_all_blocking, TENANT), 2)
        self.assertEqual(self.unfinished(), [other])
        self.assertEqual(self.rows(jobs, "task_id"), [(other,)])

    def test_entry_deleted(self) -> None:
        """The entry goes, counters and status stay; the task goes when what is left has succeeded."""
        task = self.create(WEATHER, MAPS, WEATHER_2)
        self.update(task, WEATHER, "success", "installed")
        self.update(task, MAPS, "failed", "x")
        self.do(tasks.delete_entry_blocking, TENANT, task, WEATHER_2)
        found = self.get(task)
        self.assertEqual((found.status, found.total_plugins, found.completed_plugins), ("failed", 3, 1))
        self.assertEqual([each.plugin_unique_identifier for each in found.plugins], [WEATHER.text, MAPS.text])
        self.assertEqual(self.unfinished(), [])
        self.do(tasks.delete_entry_blocking, TENANT, task, MAPS)
        self.assertIsNone(self.get(task))
        self.do(tasks.delete_entry_blocking, TENANT, task, MAPS)

    def test_last_entry_deleted(self) -> None:
        """A task without entries is none, also while its job runs."""
        task = self.create(WEATHER)
        self.do(tasks.delete_entry_blocking, TENANT, task, WEATHER)
        self.assertIsNone(self.get(task))
        self.assertEqual(self.rows(jobs, "task_id"), [])

    def test_expired(self) -> None:
        """Successes go some time after they ended; failures stay until somebody deletes them."""
        done, failed, late = self.create(WEATHER), self.create(WEATHER), self.create(WEATHER)
        self.update(done, WEATHER, "success")
        self.update(failed, WEATHER, "failed")
        limit = datetime.fromtimestamp(self.time + 0.5, UTC)
        self.update(late, WEATHER, "success")
        self.assertEqual(self.do(tasks.expire_blocking, limit), 1)
        self.assertEqual([task.id for task in self.read(tasks.list_blocking, TENANT, 1, 10)], [late, failed])

    def test_orphaned_job(self) -> None:
        """The job of a task that another program deleted is forgotten."""
        self.create(WEATHER)
        self.do(lambda transaction: transaction.connection.execute(delete(install_tasks)))
        self.do(tasks.expire_blocking, datetime.fromtimestamp(self.time, UTC))
        self.assertEqual(self.rows(jobs, "task_id"), [])

    def test_foreign_entries(self) -> None:
        """Entries that another program wrote, or spoilt, do not keep the task from being shown."""
        task = self.create(WEATHER)
        for text, shown in (
            (None, []),
            ("", []),
            ("null", []),
            ("{broken", []),
            ('[{"plugin_unique_identifier":"x","new":1}]', [TaskEntry("x")]),
        ):
            self.do(lambda transaction, text=text: transaction.connection.execute(update(install_tasks).values(plugins=text)))
            self.assertEqual(self.get(task).plugins, shown)


class SQLiteTasksTests(TasksContract, SQLiteCase):
    pass


class CutTests(SynchronousTestCase):
    def test_short(self) -> None:
        """Up to 1024 bytes a message stays as it is."""
        for message in ("", "x" * 1024, "天" * 341):
            self.assertEqual(tasks.cut(message), message)

    def test_long(self) -> None:
        """Of a longer one the first and the last 512 bytes are kept."""
        self.assertEqual(tasks.cut("a" * 600 + "b" * 600), "a" * 512 + "..." + "b" * 512)

    @given(st.text(alphabet=st.characters(), max_size=10), st.integers(0, 400))
    def test_whole_characters(self, piece: str, times: int) -> None:
        """No character is cut in two, and the bytes are bounded, whatever the message is made of."""
        message = tasks.cut(piece * times + "天" * times)
        self.assertLessEqual(len(message.encode()), 1027)
