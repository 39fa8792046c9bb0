"""Endpoints that tenants set up, and the counters of their installations (state-and-cluster 5.9, http-api 11, 12)."""

import secrets
import string
from datetime import UTC, datetime
from typing import Any, Final

from attrs import evolve, field, frozen
from sqlalchemy import case, delete, func, insert, select, update

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier, PluginNotFound
from difyd.store.database.declarations import get_many_blocking
from difyd.store.database.engine import Transaction
from difyd.store.database.statements import AnyRow, newest_first, skipped
from difyd.store.database.tables import endpoints, plugin_installations

_ALPHABET: Final = string.ascii_lowercase + string.digits
_EXPIRY: Final = datetime(2050, 1, 1, tzinfo=UTC)
"""Of every endpoint; nobody looks at it."""


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
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


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
    if not _lock_installation(transaction, tenant, plugin_id):
        raise PluginNotFound
    moment = transaction.moment
    endpoint = Endpoint(id, moment, moment, name or "default", hook_id, tenant, user, plugin_id, _EXPIRY, True, settings)
    transaction.connection.execute(
        insert(endpoints).values(
            id=id,
            created_at=moment,
            updated_at=moment,
            name=endpoint.name,
            hook_id=hook_id,
            tenant_id=tenant,
            user_id=user,
            plugin_id=plugin_id,
            expired_at=_EXPIRY,
            enabled=True,
            settings=settings.decode(),
        )
    )
    _count_again(transaction, tenant, plugin_id)
    return endpoint


def by_hook_blocking(transaction: Transaction, hook_id: str) -> Endpoint | None:
    return _first(transaction.connection.execute(select(endpoints).where(endpoints.c.hook_id == hook_id)).first())


def by_id_blocking(transaction: Transaction, tenant: str, endpoint_id: str) -> Endpoint | None:
    return _first(transaction.connection.execute(select(endpoints).where(*_mine(tenant, endpoint_id))).first())


def update_blocking(transaction: Transaction, tenant: str, endpoint_id: str, *, name: str, settings: bytes) -> bool:
    """Change both; False when the endpoint is gone: it does not come back."""
    changed = transaction.connection.execute(
        update(endpoints).where(*_mine(tenant, endpoint_id)).values(name=name, settings=settings.decode(), updated_at=transaction.moment)
    )
    return changed.rowcount > 0


def remove_blocking(transaction: Transaction, tenant: str, endpoint_id: str) -> Endpoint | None:
    """What was removed; None when there was nothing."""
    endpoint = by_id_blocking(transaction, tenant, endpoint_id)
    if endpoint is None:
        return None
    _lock_installation(transaction, tenant, endpoint.plugin_id)
    removed = transaction.connection.execute(delete(endpoints).where(*_mine(tenant, endpoint_id)))
    if not removed.rowcount:
        return None  # another transaction was faster
    _count_again(transaction, tenant, endpoint.plugin_id)
    return endpoint


def enable_blocking(transaction: Transaction, tenant: str, endpoint_id: str, enabled: bool) -> Endpoint | None:
    """Enable or disable, without effect when it is so already. The endpoint afterwards; None when there is none."""
    endpoint = by_id_blocking(transaction, tenant, endpoint_id)
    if endpoint is None:
        return None
    _lock_installation(transaction, tenant, endpoint.plugin_id)
    changed = transaction.connection.execute(
        update(endpoints)
        .where(*_mine(tenant, endpoint_id), endpoints.c.enabled.is_distinct_from(enabled))
        .values(enabled=enabled, updated_at=transaction.moment)
    )
    if not changed.rowcount:
        return by_id_blocking(transaction, tenant, endpoint_id)
    _count_again(transaction, tenant, endpoint.plugin_id)
    return evolve(endpoint, enabled=enabled, updated_at=transaction.moment)


def list_blocking(transaction: Transaction, tenant: str, page: int, size: int, *, plugin_id: str | None = None) -> list[InstalledEndpoint]:
    """Of all plugins or of one, newest first."""
    statement = select(endpoints).where(endpoints.c.tenant_id == tenant)
    if plugin_id is not None:
        statement = statement.where(endpoints.c.plugin_id == plugin_id)
    statement = statement.order_by(*newest_first(endpoints)).offset(skipped(page, size)).limit(size)
    found = [_read(row) for row in transaction.connection.execute(statement)]
    installed = _installed(transaction, tenant, {endpoint.plugin_id for endpoint in found})
    texts = get_many_blocking(transaction, installed.values())
    return [
        InstalledEndpoint(endpoint, identifier, None if identifier is None else texts.get(identifier))
        for endpoint in found
        for identifier in [installed.get(endpoint.plugin_id)]
    ]


def count_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> tuple[int, int]:
    """How many endpoints there are of a plugin, and how many of them are enabled: also those of an earlier installation."""
    statement = select(func.count(), func.count(case((endpoints.c.enabled.is_(True), 1)))).where(
        endpoints.c.tenant_id == tenant, endpoints.c.plugin_id == plugin_id
    )
    setups, active = transaction.connection.execute(statement).one()
    return setups, active


def _count_again(transaction: Transaction, tenant: str, plugin_id: str) -> None:
    """Counting instead of adding: no sequence of changes can make the counters wrong (12.1). `updated_at` stays (2.4)."""
    setups, active = count_blocking(transaction, tenant, plugin_id)
    transaction.connection.execute(
        update(plugin_installations)
        .where(plugin_installations.c.tenant_id == tenant, plugin_installations.c.plugin_id == plugin_id)
        .values(endpoints_setups=setups, endpoints_active=active)
    )


def _lock_installation(transaction: Transaction, tenant: str, plugin_id: str) -> bool:
    """Changes to the endpoints of one installation happen one after the other. Is there an installation?"""
    statement = (
        select(plugin_installations.c.id)
        .where(plugin_installations.c.tenant_id == tenant, plugin_installations.c.plugin_id == plugin_id)
        .with_for_update()
    )
    return transaction.connection.scalar(statement) is not None


def _installed(transaction: Transaction, tenant: str, plugin_ids: set[str]) -> dict[str, PluginIdentifier]:
    if not plugin_ids:
        return {}
    statement = select(plugin_installations.c.plugin_id, plugin_installations.c.plugin_unique_identifier).where(
        plugin_installations.c.tenant_id == tenant, plugin_installations.c.plugin_id.in_(sorted(plugin_ids))
    )
    found = {}
    for plugin_id, text in transaction.connection.execute(statement):
        try:
            found[plugin_id] = PluginIdentifier.parse(text)
        except BadIdentifier:
            continue  # shown as an endpoint whose plugin is not installed
    return found


def _mine(tenant: str, endpoint_id: str) -> tuple[Any, Any]:
    return endpoints.c.tenant_id == tenant, endpoints.c.id == endpoint_id


def _first(row: AnyRow | None) -> Endpoint | None:
    return None if row is None else _read(row)


def _read(row: AnyRow) -> Endpoint:
    return Endpoint(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        name=row.name or "",
        hook_id=row.hook_id,
        tenant=row.tenant_id,
        user=row.user_id or "",
        plugin_id=row.plugin_id,
        expired_at=row.expired_at,
        enabled=bool(row.enabled),
        settings=(row.settings or "{}").encode(),
    )
