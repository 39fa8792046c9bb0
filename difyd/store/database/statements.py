"""Statements that every dialect spells in its own way, and the forms that repositories share."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Row, Table

T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]

CHUNK = 500
"""Values in one IN list at most: SQLite and PostgreSQL take many more, query planners do not like them."""


def insert_absent(connection: Connection, table: Table, **values: Any) -> None:
    """
    Insert a row unless one of its unique values is taken.

    A concurrent transaction that inserts the same one is waited for. Whose row it is now, the caller sees by selecting it: what drivers
    report as the number of rows differs.
    """
    connection.execute(_insert_absent(connection.dialect.name, table).values(**values))


def _insert_absent(dialect: str, table: Table) -> Insert:
    if dialect == "mysql":
        from sqlalchemy.dialects import mysql

        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def newest_first(table: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The order of every listing; the id makes it stable among rows of one moment."""
    return table.c.created_at.desc(), table.c.id.desc()


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The distinct values, in pieces for IN lists."""
    distinct = iter(dict.fromkeys(values))
    while piece := list(islice(distinct, CHUNK)):
        yield piece
