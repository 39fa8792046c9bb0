"""
Numbers that grow with every change of what lists show, whoever makes it: two equal ones mean that all of it is as it was.

In the embedded database alone, where triggers keep it, so that an operator's own statement counts as well. A server's tables are shared with
the reference and get no triggers (state-and-cluster 4.2): there nobody knows.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from difyd.store.database.tables import CATEGORIES, plugin_declarations, plugin_installations, plugins

NAME: Final = "difyd_changes"
_WATCHED: Final = (plugin_installations, plugin_declarations, plugins, *CATEGORIES.values())
_DECLARING: Final = (plugin_declarations,)
_TOUCH: Final = f"""
CREATE TRIGGER IF NOT EXISTS {NAME}_touch AFTER UPDATE OF declaration ON {plugin_declarations.name}
WHEN NEW.declaration IS NOT OLD.declaration AND NEW.updated_at IS OLD.updated_at
BEGIN
UPDATE {plugin_declarations.name} SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z' WHERE id = NEW.id;
END"""
"""Declarations in memory are told apart by their time, which a statement of somebody else's may forget."""


def number_blocking(connection: Connection) -> int | None:
    """Of all that lists show. None where nobody knows. Asking is a read like any other: what is read after it has this number."""
    return _ask(connection, "number")


def of_declarations_blocking(connection: Connection) -> int | None:
    """The same of uploaded declarations alone."""
    return _ask(connection, "declarations")


def _ask(connection: Connection, column: str) -> int | None:
    if connection.dialect.name != "sqlite":
        return None
    number: int = connection.exec_driver_sql(f"SELECT {column} FROM {NAME}").scalar_one()
    return number


def install_blocking(connection: Connection) -> None:
    """Whatever of it is not there yet; nothing on a server."""
    if connection.dialect.name == "sqlite":
        for statement in _definition():
            connection.exec_driver_sql(statement)


def _definition() -> Iterator[str]:
    yield f"CREATE TABLE IF NOT EXISTS {NAME} (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, declarations INTEGER NOT NULL)"
    yield f"INSERT OR IGNORE INTO {NAME} VALUES (1, 0, 0)"
    for table in _WATCHED:
        counted = f"UPDATE {NAME} SET number = number + 1" + (", declarations = declarations + 1" if table in _DECLARING else "")
        for event in ("INSERT", "UPDATE", "DELETE"):
            yield f"CREATE TRIGGER IF NOT EXISTS {NAME}_{table.name}_{event.lower()} AFTER {event} ON {table.name} BEGIN {counted}; END"
    yield _TOUCH
