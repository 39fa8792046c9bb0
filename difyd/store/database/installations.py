"""Who has which plugin: install, upgrade, uninstall, and the look-ups of calls (state-and-cluster 5.3-5.8)."""

from collections.abc import Iterable
from typing import Final

from attrs import frozen
from sqlalchemy import bindparam, delete, func, insert, select, update

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import BadIdentifier, DaemonError, InternalError, PluginNotFound
from difyd.store.database import endpoints, versions
from difyd.store.database.engine import Transaction
from difyd.store.database.statements import AnyRow, chunks, insert_absent
from difyd.store.database.tables import CATEGORIES, plugin_installations, plugins


class AlreadyInstalled(DaemonError):
    """The tenant has this plugin id already, in whatever version. Callers of an install take it for a success."""

    def __init__(self, installation: Installation) -> None:
        super().__init__("plugin already installed")
        self.installation = installation


@frozen
class Upgraded:
    """An installation that has just got another version."""

    installation: Installation
    """As it is now."""
    gone: PluginIdentifier | None
    """The old version, if nobody has it any more: its rows are deleted, its installed copy and its process may go."""
    models: bool
    """Had or has it models, so that the tenant's list of models has changed?"""


@frozen
class Removed:
    """An installation that has just been removed."""

    installation: Installation
    last: bool
    """Nobody has this version any more: its rows are deleted, its installed copy and its process may go."""
    models: bool


@frozen
class Repair:
    """One thing that `repair_blocking` put right, for the log."""

    identifier: str
    was: int
    """`refers` as it stood; -1 when there was no row."""
    now: int
    """The number of installations; 0 when the row is deleted."""


_COLUMNS: Final = (
    plugin_installations.c.id,
    plugin_installations.c.tenant_id,
    plugin_installations.c.plugin_unique_identifier,
    plugin_installations.c.runtime_type,
)
_OF_TENANT: Final = select(*_COLUMNS).where(plugin_installations.c.tenant_id == bindparam("tenant"))
_FIND: Final = _OF_TENANT.where(plugin_installations.c.plugin_id == bindparam("plugin_id"))


def find_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> Installation | None:
    """What the tenant has of a plugin, in whatever version: the look-up behind a call."""
    return _first(transaction.connection.execute(_FIND, {"tenant": tenant, "plugin_id": plugin_id}).first())


def find_many_blocking(transaction: Transaction, tenant: str, plugin_ids: Iterable[str]) -> dict[str, Installation]:
    """The same for several plugins in one statement, by plugin id; those that the tenant lacks are left out."""
    found = {}
    for piece in chunks(plugin_ids):
        for row in transaction.connection.execute(_OF_TENANT.where(plugin_installations.c.plugin_id.in_(piece)), {"tenant": tenant}):
            installation = _read(row)
            found[installation.identifier.plugin_id] = installation
    return found


def by_id_blocking(transaction: Transaction, tenant: str, installation_id: str) -> Installation | None:
    statement = _OF_TENANT.where(plugin_installations.c.id == installation_id)
    return _first(transaction.connection.execute(statement, {"tenant": tenant}).first())


def by_identifier_blocking(transaction: Transaction, tenant: str, identifier: PluginIdentifier) -> Installation | None:
    """The installation of exactly this version."""
    found = find_blocking(transaction, tenant, identifier.plugin_id)
    return found if found is not None and found.identifier == identifier else None


def in_use_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bool:
    """Has any tenant this version installed (http-api 14.7)?"""
    statement = select(plugin_installations.c.id).where(plugin_installations.c.plugin_unique_identifier == identifier.text).limit(1)
    return transaction.connection.scalar(statement) is not None


def identifiers_blocking(transaction: Transaction, runtime: RuntimeType) -> list[PluginIdentifier]:
    """All versions that somebody has installed and that run this way, in the order of their first installation."""
    statement = (
        select(plugins.c.plugin_unique_identifier).where(plugins.c.install_type == runtime.value).order_by(plugins.c.created_at, plugins.c.id)
    )
    found = map(_identifier, transaction.connection.scalars(statement))
    return [identifier for identifier in found if identifier is not None and _runtime(identifier, runtime.value) == runtime]


def named_blocking(transaction: Transaction) -> set[PluginIdentifier]:
    """Every version that any row of a plugin or an installation names, however it runs."""
    rows = (transaction.connection.scalars(select(table.c.plugin_unique_identifier).distinct()) for table in (plugins, plugin_installations))
    return {identifier for column in rows for text in column if (identifier := _identifier(text)) is not None}


def install_blocking(
    transaction: Transaction,
    tenant: str,
    identifier: PluginIdentifier,
    declaration: Declaration,
    *,
    runtime: RuntimeType,
    source: str,
    meta: bytes = b"{}",
) -> Installation:
    """
    Write the rows of one tenant's installation (5.3): plugin, installation, one row per kind of provider.

    `meta` is the JSON object that the caller gave, kept as it is. The endpoint counters start with what earlier installations of this plugin
    id have left (12.1). For `remote` the declaration is kept in the `plugins` row. Raises AlreadyInstalled.
    """
    connection = transaction.connection
    versions.hold_blocking(transaction, identifier, declaration, runtime, source, manifest_type="")  # one install of this version at a time
    if (already := find_blocking(transaction, tenant, identifier.plugin_id)) is not None:
        raise AlreadyInstalled(already)
    stamps = transaction.stamps()
    setups, active = endpoints.count_blocking(transaction, tenant, identifier.plugin_id)
    insert_absent(
        connection,
        plugin_installations,
        **stamps,
        tenant_id=tenant,
        plugin_id=identifier.plugin_id,
        plugin_unique_identifier=identifier.text,
        runtime_type=runtime.value,
        endpoints_setups=setups,
        endpoints_active=active,
        source=source,
        meta=meta.decode(),
    )
    installation = find_blocking(transaction, tenant, identifier.plugin_id)
    if installation is None:
        raise InternalError(f"the installation of {identifier} could not be written")
    if installation.id != stamps["id"]:
        raise AlreadyInstalled(installation)  # another version of it came in between
    versions.count_blocking(transaction, identifier)
    _add_providers(transaction, tenant, identifier, declaration)
    return installation


def upgrade_blocking(
    transaction: Transaction,
    tenant: str,
    old: PluginIdentifier,
    new: PluginIdentifier,
    declaration: Declaration,
    *,
    runtime: RuntimeType,
    source: str,
    meta: bytes = b"{}",
) -> Upgraded:
    """
    Point a tenant's installation at another version (5.6). `declaration` is the new version's, `runtime` how new `plugins` rows run.

    Id, time of creation, endpoint counters and runtime type of the installation stay; only the row of a debugging connection becomes a
    proper installation, which does not go with the connection. Raises PluginNotFound with the text `plugin has not been installed` when the
    tenant does not have `old` (any more).
    """
    parameters = {"tenant": tenant, "plugin_id": old.plugin_id}
    installation = _first(transaction.connection.execute(_FIND.with_for_update(), parameters).first())
    if installation is None or installation.identifier != old:
        raise PluginNotFound("plugin has not been installed")
    versions.hold_blocking(transaction, new, declaration, runtime, source, old, manifest_type="plugin")
    kind = runtime if installation.runtime is RuntimeType.REMOTE else installation.runtime
    values = {"plugin_unique_identifier": new.text, "plugin_id": new.plugin_id, "runtime_type": kind.value}
    transaction.connection.execute(
        update(plugin_installations)
        .where(plugin_installations.c.id == installation.id)
        .values(**values, source=source, meta=meta.decode(), updated_at=transaction.moment)
    )
    models = _remove_providers(transaction, tenant, old.plugin_id)
    _add_providers(transaction, tenant, new, declaration)
    versions.count_blocking(transaction, new)
    gone = versions.release_blocking(transaction, old)
    return Upgraded(Installation(installation.id, tenant, new, kind), old if gone else None, models or "model" in declaration.kinds())


def uninstall_blocking(transaction: Transaction, tenant: str, installation_id: str) -> Removed | None:
    """Remove an installation and, with the last one, its version (5.7); None when the tenant has no such installation. Endpoints stay."""
    mine = _OF_TENANT.where(plugin_installations.c.id == installation_id).with_for_update()
    installation = _first(transaction.connection.execute(mine, {"tenant": tenant}).first())
    if installation is None:
        return None
    versions.lock_blocking(transaction, installation.identifier)
    transaction.connection.execute(delete(plugin_installations).where(plugin_installations.c.id == installation.id))
    models = _remove_providers(transaction, tenant, installation.identifier.plugin_id)
    return Removed(installation, versions.release_blocking(transaction, installation.identifier), models)


def repair_blocking(transaction: Transaction) -> list[Repair]:
    """
    Make `refers` of every version the number of its installations (12.1); for the start of a daemon.

    A version that nobody has loses its row, and no node starts it any more; its declaration stays, as after an upload.
    """
    connection = transaction.connection
    counted = (
        select(
            plugin_installations.c.plugin_unique_identifier, func.min(plugin_installations.c.runtime_type), func.count().label("installations")
        )
        .where(plugin_installations.c.plugin_unique_identifier.is_not(None))
        .group_by(plugin_installations.c.plugin_unique_identifier)
    )
    installed = {text: (runtime, count) for text, runtime, count in connection.execute(counted)}
    rows = select(plugins.c.plugin_unique_identifier, plugins.c.refers).order_by(plugins.c.plugin_unique_identifier).with_for_update()
    referred = {row.plugin_unique_identifier: row.refers for row in connection.execute(rows)}
    repairs = []
    for text, refers in referred.items():
        _, count = installed.get(text, ("", 0))
        if count == refers:
            continue
        mine = plugins.c.plugin_unique_identifier == text
        connection.execute(update(plugins).where(mine).values(refers=count) if count else delete(plugins).where(mine))
        repairs.append(Repair(text, refers or 0, count))
    for text, (runtime, count) in installed.items():
        if text not in referred and (identifier := _identifier(text)) is not None:
            versions.insert_blocking(transaction, identifier, install_type=runtime, refers=count)
            repairs.append(Repair(text, -1, count))
    return repairs


def _add_providers(transaction: Transaction, tenant: str, identifier: PluginIdentifier, declaration: Declaration) -> None:
    for kind in declaration.kinds():
        transaction.connection.execute(
            insert(CATEGORIES[kind]).values(
                **transaction.stamps(),
                tenant_id=tenant,
                provider=declaration.provider(kind),
                plugin_unique_identifier=identifier.text,
                plugin_id=identifier.plugin_id,
            )
        )


def _remove_providers(transaction: Transaction, tenant: str, plugin_id: str) -> bool:
    """
    Of all kinds, whatever the declaration says: so a plugin whose declaration is lost can be removed too.

    Was there a provider of models?
    """
    models = CATEGORIES["model"]
    had_models = select(models.c.id).where(models.c.tenant_id == tenant, models.c.plugin_id == plugin_id).limit(1)
    found = transaction.connection.scalar(had_models) is not None
    for table in CATEGORIES.values():
        transaction.connection.execute(delete(table).where(table.c.tenant_id == tenant, table.c.plugin_id == plugin_id))
    return found


def _first(row: AnyRow | None) -> Installation | None:
    return None if row is None else _read(row)


def _read(row: AnyRow) -> Installation:
    identifier = _identifier(row.plugin_unique_identifier)
    try:
        if identifier is not None:
            return Installation(row.id, row.tenant_id, identifier, _runtime(identifier, row.runtime_type))
    except ValueError:
        pass  # a runtime type that nobody knows is as good as no identifier
    raise InternalError(f"the database holds an installation that cannot be read: {row.id}")


def _identifier(text: str | None) -> PluginIdentifier | None:
    try:
        return PluginIdentifier.parse(text or "")
    except BadIdentifier:
        return None


def _runtime(identifier: PluginIdentifier, name: str) -> RuntimeType:
    """Rows of older daemons whose author is a tenant are debugged plugins, whatever they say (4.1)."""
    return RuntimeType.REMOTE if identifier.remote_like else RuntimeType(name)
