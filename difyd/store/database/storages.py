"""How much the data of plugins takes (state-and-cluster 5.10, backwards-invocation 8.4)."""

from difyd.store.database.engine import Transaction


def lock_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> int:
    """
    The bytes that a plugin's data takes for a tenant; nobody else counts for this pair before the transaction has ended.

    Makes the row if there is none.
    """
    raise NotImplementedError


def add_blocking(transaction: Transaction, tenant: str, plugin_id: str, difference: int) -> None:
    """Count `difference` bytes more, or less; never below 0. Only after `lock_blocking` in the same transaction."""
    raise NotImplementedError


def size_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> int:
    """The bytes, without locking anything."""
    raise NotImplementedError
