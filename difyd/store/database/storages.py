"""How much the data of plugins takes (state-and-cluster 5.10, backwards-invocation 8.4)."""

import uuid
from typing import Final

from attrs import frozen
from sqlalchemy import BigInteger, bindparam, func, literal_column, select, update

from difyd.store.database.engine import Transaction
from difyd.store.database.statements import insert_absent, update_quickly
from difyd.store.database.tables import tenant_storages

_IDS: Final = uuid.UUID("c1d1c8a4-31f6-4f0b-8a52-9b8c3f6f2e07")
_PAIR: Final = tenant_storages.c.tenant_id == bindparam("tenant"), tenant_storages.c.plugin_id == bindparam("plugin")
_LOCK: Final = select(tenant_storages.c.id, tenant_storages.c.size).where(*_PAIR).order_by(tenant_storages.c.id).with_for_update()
_SIZE: Final = select(func.sum(tenant_storages.c.size)).where(*_PAIR)
_MORE: Final = bindparam("more", type_=BigInteger())
_SET: Final = update(tenant_storages).where(tenant_storages.c.id == bindparam("row")).values(size=bindparam("bytes", type_=BigInteger()))
_ADD: Final = (
    update(tenant_storages)
    .where(*_PAIR, (tenant_storages.c.size + _MORE).between(literal_column("0"), bindparam("limit", type_=BigInteger())))
    .values(size=tenant_storages.c.size + _MORE)
)
"""Built once: a plugin may store many values a second. `updated_at` stays (2.4)."""
_NO_LIMIT: Final = (1 << 63) - 1


@frozen
class Usage:
    """The bytes of a pair, which nobody else counts before the transaction has ended."""

    size: int
    rows: tuple[tuple[str, int], ...]
    """Ids and their bytes: the reference may have made several rows of one pair."""


def try_add_blocking(transaction: Transaction, tenant: str, plugin_id: str, difference: int, limit: int) -> bool:
    """
    Lock the pair and count in one statement, for the usual case: there is one row, and it does not get beyond `limit` by growing.

    False when it was not that simple; then nothing is counted, and `lock_blocking` says how things are.
    """
    values = {"tenant": tenant, "plugin": plugin_id, "more": difference, "limit": limit if difference > 0 else _NO_LIMIT}
    changed = update_quickly(transaction.connection, _ADD, values)
    if changed > 1:  # rows of the reference, which counted twice
        update_quickly(transaction.connection, _ADD, values | {"more": -difference, "limit": _NO_LIMIT})
    return changed == 1


def lock_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> Usage:
    """
    What a plugin's data takes for a tenant; makes the row if there is none.

    Nothing makes the pair unique, so its id is made of the pair: of two transactions that insert at once the second waits for the first.
    """
    rows = _locked(transaction, tenant, plugin_id)
    if not rows:
        stamps = transaction.stamps() | {"id": str(uuid.uuid5(_IDS, f"{tenant}/{plugin_id}"))}
        insert_absent(transaction.connection, tenant_storages, **stamps, tenant_id=tenant, plugin_id=plugin_id, size=0)
        rows = _locked(transaction, tenant, plugin_id)
    return Usage(sum(size for _, size in rows), rows)


def add_blocking(transaction: Transaction, usage: Usage, difference: int) -> None:
    """Count `difference` bytes more, or less, of what this transaction has locked; never below 0."""
    for row, size in sorted(usage.rows, key=lambda row: row[1], reverse=True):
        if not difference:
            return
        change = max(difference, -size)
        transaction.connection.execute(_SET, {"row": row, "bytes": size + change})
        difference -= change


def size_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> int:
    """The bytes, without locking anything."""
    return int(transaction.connection.scalar(_SIZE, {"tenant": tenant, "plugin": plugin_id}) or 0)


def _locked(transaction: Transaction, tenant: str, plugin_id: str) -> tuple[tuple[str, int], ...]:
    found = transaction.connection.execute(_LOCK, {"tenant": tenant, "plugin": plugin_id})
    return tuple((row.id, row.size) for row in found)
