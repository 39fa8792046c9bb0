"""Endpoints that tenants set up, and the counters of their installations (state-and-cluster 5.9, http-api 11, 12)."""

from datetime import datetime

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction


@frozen
class Endpoint:
    """One row; times are points in time, the JSON of the wire is made by who has decrypted the settings."""

    id: str
    created_at: datetime | None
    updated_at: datetime | None
    name: str
    hook_id: str
    tenant: str
    user: str
    plugin_id: str
    expired_at: datetime | None
    enabled: bool
    settings: bytes = field(repr=False)
    """JSON object; values of secret settings are encrypted by Dify."""


@frozen
class InstalledEndpoint:
    """An endpoint of a list, with what stands behind it now."""

    endpoint: Endpoint
    identifier: PluginIdentifier | None
    """The version that the tenant has of its plugin; None when it is not installed (any more)."""
    declaration: bytes | None = field(repr=False)
    """That version's declaration."""


def new_hook_id() -> str:
    """16 characters of `a-z0-9` that nobody can guess."""
    raise NotImplementedError


def create_blocking(
    transaction: Transaction,
    *,
    id: str,
    hook_id: str,
    tenant: str,
    user: str,
    plugin_id: str,
    name: str,
    settings: bytes,
) -> Endpoint:
    """
    A new endpoint, enabled. `id` comes from `Database.ids`: settings are encrypted under it before the row exists.

    Raises PluginNotFound when the tenant does not have the plugin (any more).
    """
    raise NotImplementedError


def by_hook_blocking(transaction: Transaction, hook_id: str) -> Endpoint | None:
    raise NotImplementedError


def by_id_blocking(transaction: Transaction, tenant: str, endpoint_id: str) -> Endpoint | None:
    raise NotImplementedError


def update_blocking(transaction: Transaction, tenant: str, endpoint_id: str, *, name: str, settings: bytes) -> bool:
    """Change both; False when the endpoint is gone: it does not come back."""
    raise NotImplementedError


def remove_blocking(transaction: Transaction, tenant: str, endpoint_id: str) -> Endpoint | None:
    """What was removed; None when there was nothing."""
    raise NotImplementedError


def enable_blocking(transaction: Transaction, tenant: str, endpoint_id: str, enabled: bool) -> Endpoint | None:
    """Enable or disable, without effect when it is so already. The endpoint afterwards; None when there is none."""
    raise NotImplementedError


def list_blocking(transaction: Transaction, tenant: str, page: int, size: int, *, plugin_id: str | None = None) -> list[InstalledEndpoint]:
    """Of all plugins or of one, newest first."""
    raise NotImplementedError
