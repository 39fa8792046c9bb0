"""Keys that plugins under development present on the debugging port, of a daemon without Redis (debug-runtime 2)."""

from difyd.store.database.engine import Transaction


def get_or_create_blocking(transaction: Transaction, tenant: str, lifetime: float) -> str:
    """The tenant's key, the same as long as it lives, which is `lifetime` seconds from now on; a fresh one otherwise."""
    raise NotImplementedError


def tenant_blocking(transaction: Transaction, key: str) -> str | None:
    """Whose key it is, None when it is nobody's (any more). Does not prolong its life."""
    raise NotImplementedError
