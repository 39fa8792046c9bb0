"""
A number that grows with every change of what lists show, whoever makes it: two equal ones mean that all of it is as it was.

In the embedded database alone, where triggers keep it, so that an operator's own statement counts as well. A server's tables are shared with
the reference and get no triggers (state-and-cluster 4.2): there nobody knows.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from difyd.store.database.tables import CATEGORIES, plugin_declarations, plugin_installations, plugins

NAME: Final = "difyd_changes"
_WATCHED: Final = (plugin_installations, plugin_declarations, plugins, *CATEGORIES.values())
_TOUCH: Final = f"""
CREATE TRIGGER IF NOT EXISTS {NAME}_touch AFTER UPDATE OF declaration ON {plugin_declarations.name}
WHEN NEW.declaration IS NOT OLD.declaration AND NEW.updated_at IS OLD.updated_at
BEGIN
UPDATE {plugin_declarations.name} SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z' WHERE id = NEW.id;
END"""
"""Declarations in memory are told apart by their time, which a statement of somebody else's may forget."""


def number_blocking(connection: Connection) -> int | None:
    """None where nobody knows. Asking is a read like any other: what the transaction reads after it has this number."""
    if connection.dialect.name != "sqlite":
        return None
    number: int = connection.exec_driver_sql(f"SELECT number FROM {NAME}").scalar_one()
    return number


def install_blocking(connection: Connection) -> None:
    """Whatever of it is not there yet; nothing on a server."""
    if connection.dialect.name == "sqlite":
        for statement in _definition():
            connection.exec_driver_sql(statement)


def _definition() -> Iterator[str]:
    yield f"CREATE TABLE IF NOT EXISTS {NAME} (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)"
    yield f"INSERT OR IGNORE INTO {NAME} VALUES (1, 0)"
    for table in _WATCHED:
        for event in ("INSERT", "UPDATE", "DELETE"):
            counted = f"UPDATE {NAME} SET number = number + 1"
            yield f"CREATE TRIGGER IF NOT EXISTS {NAME}_{table.name}_{event.lower()} AFTER {event} ON {table.name} BEGIN {counted}; END"
    yield _TOUCH
