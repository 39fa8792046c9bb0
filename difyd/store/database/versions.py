"""
The rows of a version, which all tenants that have it share: its `plugins` row, and what goes with that when nobody has it any more.

Who adds or removes an installation of a version holds its `plugins` row for the rest of the transaction.
"""

from typing import Any

from sqlalchemy import delete, func, select, update

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.store.database.declarations import add_blocking
from difyd.store.database.engine import Transaction
from difyd.store.database.statements import insert_absent
from difyd.store.database.tables import plugin_declarations, plugin_installations, plugins, serverless_runtimes


def hold_blocking(
    transaction: Transaction,
    identifier: PluginIdentifier,
    declaration: Declaration,
    runtime: RuntimeType,
    source: str,
    *others: PluginIdentifier,
    manifest_type: str,
) -> None:
    """
    Lock the row of a version that is about to be installed, made if there is none, together with those of `others`.

    Until the lock is there another tenant may remove the version as its last one. So the row is looked for again after it was made, and the
    declaration, which would have gone with it, is written if it is missing.
    """
    remote = runtime is RuntimeType.REMOTE
    while identifier.text not in lock_blocking(transaction, identifier, *others):
        insert_blocking(
            transaction,
            identifier,
            install_type=runtime.value,
            remote_declaration=declaration.text.decode() if remote else "{}",
            source=source,
            manifest_type=manifest_type,
        )
    if not remote:
        add_blocking(transaction, identifier, declaration.text)


def insert_blocking(transaction: Transaction, identifier: PluginIdentifier, **values: Any) -> None:
    """Make the row unless there is one; `values` are its columns where they differ from those of an empty one."""
    insert_absent(
        transaction.connection,
        plugins,
        **transaction.stamps(),
        plugin_unique_identifier=identifier.text,
        plugin_id=identifier.plugin_id,
        **{"refers": 0, "manifest_type": "", "remote_declaration": "{}", "source": "", **values},
    )


def lock_blocking(transaction: Transaction, *identifiers: PluginIdentifier) -> set[str]:
    """
    Hold the rows of these versions; those that there are.

    Always in the same order, so that two upgrades in opposite directions do not wait for each other.
    """
    texts = sorted(identifier.text for identifier in identifiers)
    column = plugins.c.plugin_unique_identifier
    return set(transaction.connection.scalars(select(column).where(column.in_(texts)).order_by(column).with_for_update()))


def count_blocking(transaction: Transaction, identifier: PluginIdentifier) -> int:
    """
    Set `refers` to the number of installations, and say it; the caller holds the row.

    Counting instead of adding also heals a wrong number. `updated_at` stays (2.4).
    """
    statement = select(func.count()).select_from(plugin_installations).where(plugin_installations.c.plugin_unique_identifier == identifier.text)
    count = transaction.connection.scalar(statement) or 0
    transaction.connection.execute(update(plugins).where(plugins.c.plugin_unique_identifier == identifier.text).values(refers=count))
    return count


def release_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bool:
    """An installation of this version went. Was it the last one? Then its rows go too."""
    if count_blocking(transaction, identifier):
        return False
    for table in (plugins, plugin_declarations, serverless_runtimes):
        transaction.connection.execute(delete(table).where(table.c.plugin_unique_identifier == identifier.text))
    return True
