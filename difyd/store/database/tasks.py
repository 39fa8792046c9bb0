"""
Install tasks: the rows that the console polls (state-and-cluster 6).

Entries go `pending` -> `running` -> `success` or `failed`; the task is `running`, `failed` as soon as one entry has failed, and `success`
once all have succeeded. Rows that are gone are silently not updated: a tenant may delete a task while its jobs run.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from attrs import field, frozen
from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction
from difyd.store.database.records import TaskEntry, TaskRecord
from difyd.store.database.statements import AnyRow, newest_first, skipped
from difyd.store.database.tables import install_tasks, jobs
from difyd.store.database.times import rfc3339

PENDING, RUNNING, SUCCESS, FAILED = "pending", "running", "success", "failed"
_OPEN: Final = (PENDING, RUNNING)
_MESSAGE: Final = 1024
"""Bytes of a message at most; of a longer one its first and its last half are kept."""
_entries = msgspec.json.Decoder(list[TaskEntry] | None)


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
    stamps = transaction.stamps()
    plugins = list(entries)
    transaction.connection.execute(
        insert(install_tasks).values(
            **stamps,
            tenant_id=tenant,
            status=RUNNING,
            total_plugins=len(plugins),
            completed_plugins=_successes(plugins),
            plugins=_text(plugins),
        )
    )
    transaction.connection.execute(insert(jobs).values(task_id=stamps["id"], owner=owner, job=job.decode()))
    return str(stamps["id"])


def update_blocking(
    transaction: Transaction, task_id: str, identifier: PluginIdentifier, *, status: str | None = None, message: str | None = None
) -> TaskRecord | None:
    """Change the first entry of this plugin and count again (6.3); the task afterwards, None when there is no such task or entry."""
    task = _locked(transaction, install_tasks.c.id == task_id)
    if task is None:
        return None
    for position, entry in enumerate(task.plugins):
        if entry.plugin_unique_identifier == identifier.text:
            task.plugins[position] = _changed(entry, status, message)
            return _save(transaction, task, failed=status == FAILED)
    return None


def fail_blocking(transaction: Transaction, task_id: str, message: str) -> bool:
    """Entries that have not ended fail with `message`, and the task with them (6.5); False when it had ended already or is gone."""
    task = _locked(transaction, install_tasks.c.id == task_id)
    if task is None or not (_unfinished(task.plugins) or task.status in _OPEN):
        return False
    plugins = [_changed(entry, FAILED, message) if entry.status in _OPEN else entry for entry in task.plugins]
    _save(transaction, msgspec.structs.replace(task, plugins=plugins), failed=True)
    return True


def get_blocking(transaction: Transaction, tenant: str, task_id: str) -> TaskRecord | None:
    row = transaction.connection.execute(select(install_tasks).where(*_mine(tenant, task_id))).first()
    return None if row is None else _read(transaction, row)


def list_blocking(transaction: Transaction, tenant: str, page: int, size: int) -> list[TaskRecord]:
    """Newest first."""
    statement = (
        select(install_tasks)
        .where(install_tasks.c.tenant_id == tenant)
        .order_by(*newest_first(install_tasks))
        .offset(skipped(page, size))
        .limit(size)
    )
    return [_read(transaction, row) for row in transaction.connection.execute(statement)]


def delete_blocking(transaction: Transaction, tenant: str, task_id: str) -> bool:
    return _delete(transaction, *_mine(tenant, task_id)) > 0


def delete_all_blocking(transaction: Transaction, tenant: str) -> int:
    """How many there were."""
    return _delete(transaction, install_tasks.c.tenant_id == tenant)


def delete_entry_blocking(transaction: Transaction, tenant: str, task_id: str, identifier: PluginIdentifier) -> None:
    """Remove a plugin's entries; the task goes too when only successes (or nothing) are left. Counters and status stay (6.4)."""
    task = _locked(transaction, *_mine(tenant, task_id))
    if task is None:
        return
    left = [entry for entry in task.plugins if entry.plugin_unique_identifier != identifier.text]
    if all(entry.status == SUCCESS for entry in left):
        _delete(transaction, *_mine(tenant, task_id))
    elif len(left) < len(task.plugins):
        _write(transaction, task.id, left, status=task.status, completed_plugins=task.completed_plugins)


def unfinished_blocking(transaction: Transaction, *, untouched_since: datetime | None = None) -> list[Unfinished]:
    """
    Tasks of which an entry has not ended, oldest first; with a time, only those last changed before it.

    A task that is `failed` because of one entry may be among them: the others may still have been going on.
    """
    statement = (
        select(install_tasks, jobs.c.owner, jobs.c.job)
        .outerjoin(jobs, jobs.c.task_id == install_tasks.c.id)
        .where(or_(jobs.c.task_id.is_not(None), install_tasks.c.status.in_(_OPEN)))
        .order_by(install_tasks.c.created_at, install_tasks.c.id)
    )
    if untouched_since is not None:
        statement = statement.where(install_tasks.c.updated_at < untouched_since)
    rows = transaction.connection.execute(statement).all()
    return [Unfinished(_read(transaction, row), row.owner or "", (row.job or "").encode()) for row in rows]


def expire_blocking(transaction: Transaction, before: datetime) -> int:
    """Delete tasks that ended in `success` before this time (6.3: 120 s ago); how many. Also forgets jobs whose task others deleted."""
    expired = _delete(transaction, install_tasks.c.status == SUCCESS, install_tasks.c.updated_at < before)
    transaction.connection.execute(delete(jobs).where(jobs.c.task_id.not_in(select(install_tasks.c.id))))
    return expired


def _save(transaction: Transaction, task: TaskRecord, *, failed: bool) -> TaskRecord:
    """Write the entries back with what follows from them: all succeeded beats everything, one failure stays until then (6.1)."""
    completed = _successes(task.plugins)
    status = SUCCESS if completed == len(task.plugins) else FAILED if failed else task.status
    _write(transaction, task.id, task.plugins, status=status, completed_plugins=completed)
    updated_at = rfc3339(transaction.moment, transaction.zone)
    return msgspec.structs.replace(task, status=status, completed_plugins=completed, updated_at=updated_at)


def _write(transaction: Transaction, task_id: str, plugins: list[TaskEntry], **columns: Any) -> None:
    transaction.connection.execute(
        update(install_tasks).where(install_tasks.c.id == task_id).values(plugins=_text(plugins), updated_at=transaction.moment, **columns)
    )
    if not _unfinished(plugins):
        transaction.connection.execute(delete(jobs).where(jobs.c.task_id == task_id))


def _delete(transaction: Transaction, *conditions: ColumnElement[bool]) -> int:
    transaction.connection.execute(delete(jobs).where(jobs.c.task_id.in_(select(install_tasks.c.id).where(*conditions))))
    return transaction.connection.execute(delete(install_tasks).where(*conditions)).rowcount


def _locked(transaction: Transaction, *conditions: ColumnElement[bool]) -> TaskRecord | None:
    row = transaction.connection.execute(select(install_tasks).where(*conditions).with_for_update()).first()
    return None if row is None else _read(transaction, row)


def _mine(tenant: str, task_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return install_tasks.c.tenant_id == tenant, install_tasks.c.id == task_id


def _changed(entry: TaskEntry, status: str | None, message: str | None) -> TaskEntry:
    return msgspec.structs.replace(
        entry,
        status=entry.status if status is None else status,
        message=entry.message if message is None else cut(message),
    )


def cut(message: str) -> str:
    """At most 1024 bytes, or the first and the last 512 with dots between; a character that is cut through is left out."""
    data = message.encode(errors="replace")
    if len(data) <= _MESSAGE:
        return data.decode()
    half = _MESSAGE // 2
    return f"{data[:half].decode(errors='ignore')}...{data[-half:].decode(errors='ignore')}"


def _successes(plugins: list[TaskEntry]) -> int:
    return sum(entry.status == SUCCESS for entry in plugins)


def _unfinished(plugins: list[TaskEntry]) -> bool:
    return any(entry.status in _OPEN for entry in plugins)


def _text(plugins: list[TaskEntry]) -> str:
    return msgspec.json.encode(plugins).decode()


def _read(transaction: Transaction, row: AnyRow) -> TaskRecord:
    try:
        plugins = _entries.decode(row.plugins or "null") or []
    except msgspec.DecodeError:
        plugins = []  # somebody else's row: shown without its entries rather than not at all
    return TaskRecord(
        id=row.id,
        created_at=rfc3339(row.created_at, transaction.zone),
        updated_at=rfc3339(row.updated_at, transaction.zone),
        status=row.status,
        tenant_id=row.tenant_id,
        total_plugins=row.total_plugins,
        completed_plugins=row.completed_plugins,
        plugins=plugins,
    )
