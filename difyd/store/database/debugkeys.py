"""Keys that plugins under development present on the debugging port, of a daemon without Redis (debug-runtime 2)."""

import uuid
from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from difyd.store.database.engine import Transaction
from difyd.store.database.tables import debug_keys


def get_or_create_blocking(transaction: Transaction, tenant: str, lifetime: float) -> str:
    """The tenant's key, the same as long as it lives, which is `lifetime` seconds from now on; a fresh one otherwise."""
    connection, now = transaction.connection, transaction.moment
    expires = now + timedelta(seconds=lifetime)
    connection.execute(delete(debug_keys).where(debug_keys.c.expires_at <= now))
    mine = debug_keys.c.tenant_id == tenant
    key = connection.scalar(select(debug_keys.c.debug_key).where(mine).with_for_update())
    if key is None:
        key = str(uuid.uuid4())
        connection.execute(insert(debug_keys).values(tenant_id=tenant, debug_key=key, expires_at=expires))
    else:
        connection.execute(update(debug_keys).where(mine).values(expires_at=expires))
    return key


def tenant_blocking(transaction: Transaction, key: str) -> str | None:
    """Whose key it is, None when it is nobody's (any more). Does not prolong its life."""
    statement = select(debug_keys.c.tenant_id).where(debug_keys.c.debug_key == key, debug_keys.c.expires_at > transaction.moment)
    return transaction.connection.scalar(statement)
