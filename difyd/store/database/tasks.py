"""
Install tasks: the rows that the console polls (state-and-cluster 6).

Entries go `pending` -> `running` -> `success` or `failed`; the task is `running`, `failed` as soon as one entry has failed, and `success`
once all have succeeded. Rows that are gone are silently not updated: a tenant may delete a task while its jobs run.
"""

from collections.abc import Iterable
from datetime import datetime

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction
from difyd.store.database.records import TaskEntry, TaskRecord

PENDING, RUNNING, SUCCESS, FAILED = "pending", "running", "success", "failed"


@frozen
class Unfinished:
    """A task that is not done, as its node left it."""

    task: TaskRecord
    owner: str
    """The node that worked on it; "" for a row of the reference's."""
    job: bytes = field(repr=False)
    """What the owner gave to `create_blocking`, b"" for a row of the reference's."""


def create_blocking(transaction: Transaction, tenant: str, entries: Iterable[TaskEntry], *, owner: str = "", job: bytes = b"") -> str:
    """A new task, `running` with these entries; its id. `owner` is this node, `job` what it needs to go on after a restart (opaque text)."""
    raise NotImplementedError


def update_blocking(
    transaction: Transaction, task_id: str, identifier: PluginIdentifier, *, status: str | None = None, message: str | None = None
) -> TaskRecord | None:
    """Change the first entry of this plugin and count again (6.3); the task afterwards, None when there is no such task or entry."""
    raise NotImplementedError


def fail_blocking(transaction: Transaction, task_id: str, message: str) -> bool:
    """Entries that have not ended fail with `message`, and the task with them (6.5); False when it had ended already or is gone."""
    raise NotImplementedError


def get_blocking(transaction: Transaction, tenant: str, task_id: str) -> TaskRecord | None:
    raise NotImplementedError


def list_blocking(transaction: Transaction, tenant: str, page: int, size: int) -> list[TaskRecord]:
    """Newest first."""
    raise NotImplementedError


def delete_blocking(transaction: Transaction, tenant: str, task_id: str) -> bool:
    raise NotImplementedError


def delete_all_blocking(transaction: Transaction, tenant: str) -> int:
    """How many there were."""
    raise NotImplementedError


def delete_entry_blocking(transaction: Transaction, tenant: str, task_id: str, identifier: PluginIdentifier) -> None:
    """Remove a plugin's entries; the task goes too when only successes (or nothing) are left. Counters and status stay (6.4)."""
    raise NotImplementedError


def unfinished_blocking(transaction: Transaction, *, untouched_since: datetime | None = None) -> list[Unfinished]:
    """Tasks that are `pending` or `running`, oldest first; with a time, only those last changed before it."""
    raise NotImplementedError


def expire_blocking(transaction: Transaction, before: datetime) -> int:
    """Delete tasks that ended in `success` before this time (6.3: 120 s ago); how many."""
    raise NotImplementedError
