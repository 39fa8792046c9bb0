"""Statements that every dialect spells in its own way, and the forms that repositories share."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Row, Table, Update
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]

CHUNK = 500
"""Values in one IN list at most: SQLite and PostgreSQL take many more, query planners do not like them."""
_FAR = 1 << 62


def insert_absent(connection: Connection, table: Table, **values: Any) -> None:
    """
    Insert a row unless one of its unique values is taken.

    A concurrent transaction that inserts the same one is waited for. Whose row it is now, the caller sees by selecting it: what drivers
    report as the number of rows differs.
    """
    connection.execute(_insert_absent(connection.dialect.name, table).values(**values))


def update_quickly(connection: Connection, statement: Update, values: Mapping[str, Any]) -> int:
    """
    The number of rows that `statement`, which must live as long as the daemon, changed; `values` are all of its parameters.

    For what happens many times a second: SQLAlchemy adds to a statement ten times what SQLite takes for it, so that goes straight to its
    driver, and values must be such as it takes. A server is asked in the ordinary way; its answer takes longer than both.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return connection.execute(statement, values).rowcount
    if not connection.in_transaction():
        connection.begin()
    text, names = connection.info.get(statement) or connection.info.setdefault(statement, _spelled(connection, statement))
    try:
        cursor = driver.execute(text, [values[name] for name in names])
    except sqlite3.Error as why:
        raise DBAPIError.instance(text, None, why, sqlite3.Error) from why
    changed = cursor.rowcount
    cursor.close()
    return changed


def _spelled(connection: Connection, statement: Update) -> tuple[str, tuple[str, ...]]:
    """Its text, and the names of its parameters in order."""
    compiled = statement.compile(dialect=connection.dialect)
    return str(compiled), tuple(getattr(compiled, "positiontup", None) or ())


def _insert_absent(dialect: str, table: Table) -> Insert:
    if dialect == "mysql":
        from sqlalchemy.dialects import mysql

        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def skipped(page: int, size: int) -> int:
    """Rows before a page: as many as databases can count, which is beyond all that there are."""
    return min((page - 1) * size, _FAR)


def newest_first(table: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The order of every listing; the id makes it stable among rows of one moment."""
    return table.c.created_at.desc(), table.c.id.desc()


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The distinct values, in pieces for IN lists."""
    distinct = iter(dict.fromkeys(values))
    while piece := list(islice(distinct, CHUNK)):
        yield piece
