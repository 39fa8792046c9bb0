"""How much the data of plugins takes (state-and-cluster 5.10, backwards-invocation 8.4)."""

import uuid
from typing import Final

from sqlalchemy import ColumnElement, func, select, update

from difyd.store.database.engine import Transaction
from difyd.store.database.statements import insert_absent
from difyd.store.database.tables import tenant_storages

_IDS: Final = uuid.UUID("c1d1c8a4-31f6-4f0b-8a52-9b8c3f6f2e07")


def lock_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> int:
    """
    The bytes that a plugin's data takes for a tenant; nobody else counts for this pair before the transaction has ended.

    Makes the row if there is none. Nothing makes the pair unique, so its id is made of the pair: of two that insert at once the second waits
    for the first. Rows of the reference, of which there may be several, are all locked and summed.
    """
    if (size := _locked(transaction, tenant, plugin_id)) is not None:
        return size
    stamps = transaction.stamps() | {"id": _id(tenant, plugin_id)}
    insert_absent(transaction.connection, tenant_storages, **stamps, tenant_id=tenant, plugin_id=plugin_id, size=0)
    return _locked(transaction, tenant, plugin_id) or 0


def add_blocking(transaction: Transaction, tenant: str, plugin_id: str, difference: int) -> None:
    """
    Count `difference` bytes more, or less; never below 0. Only after `lock_blocking` in the same transaction.

    `updated_at` stays (2.4).
    """
    rows = transaction.connection.execute(select(tenant_storages.c.id, tenant_storages.c.size).where(*_pair(tenant, plugin_id))).all()
    for row in sorted(rows, key=lambda row: row.size, reverse=True):
        change = max(difference, -row.size)
        transaction.connection.execute(
            update(tenant_storages).where(tenant_storages.c.id == row.id).values(size=tenant_storages.c.size + change)
        )
        difference -= change
        if not difference:
            return


def size_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> int:
    """The bytes, without locking anything."""
    return int(transaction.connection.scalar(select(func.sum(tenant_storages.c.size)).where(*_pair(tenant, plugin_id))) or 0)


def _locked(transaction: Transaction, tenant: str, plugin_id: str) -> int | None:
    statement = select(tenant_storages.c.size).where(*_pair(tenant, plugin_id)).order_by(tenant_storages.c.id).with_for_update()
    sizes = transaction.connection.scalars(statement).all()
    return sum(sizes) if sizes else None


def _pair(tenant: str, plugin_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return tenant_storages.c.tenant_id == tenant, tenant_storages.c.plugin_id == plugin_id


def _id(tenant: str, plugin_id: str) -> str:
    return str(uuid.uuid5(_IDS, f"{tenant}/{plugin_id}"))
