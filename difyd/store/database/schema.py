"""
Which tables the database has, and which this daemon needs (state-and-cluster 2.3, 4).

The usual start asks one question and is done. Alembic is imported only for a database that somebody has used before and that is not up to
date; an empty one gets all tables at once.
"""

from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text

from difyd.store.database import changes
from difyd.store.database.failures import DatabaseFailed
from difyd.store.database.tables import metadata

HEAD: Final = "0002"
"""The newest revision in `migrations/versions`."""
VERSIONS: Final = Table("difyd_alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False))
"""Alembic's own table, under a name of ours."""
_LOCK: Final = 0x646966796400
"""Number of the lock that lets only one node migrate."""


def prepare_blocking(engine: Engine, *, migrate: bool) -> list[str]:
    """
    Bring the tables up to date; sentences about what was done, for the log.

    Everything happens in one transaction that only one node at a time can be in. Raises DatabaseFailed when a newer daemon has been here, or
    when something is to be done and `migrate` forbids it.
    """
    with engine.connect() as connection:
        if (revision := _revision(connection)) == HEAD:
            return []
    if not migrate:
        raise DatabaseFailed(f"the database is at revision {revision or 'none'}, {HEAD} is needed, and DB_MIGRATE_ON_START is false")
    with engine.begin() as connection:
        _lock(connection)
        if (revision := _revision(connection)) == HEAD:
            return []  # another node was faster
        if revision is None and not inspect(connection).get_table_names():
            metadata.create_all(connection, checkfirst=False)
            changes.install_blocking(connection)
            VERSIONS.create(connection)
            connection.execute(VERSIONS.insert().values(version_num=HEAD))
            return ["created all tables"]
        from difyd.store.database.migrations.upgrade import upgrade_blocking

        return upgrade_blocking(connection, revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    return connection.scalar(select(VERSIONS.c.version_num))


def _lock(connection: Connection) -> None:
    """Until the end of the transaction; a session's lock would not survive PgBouncer. SQLite has locked by BEGIN."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    elif connection.dialect.name == "mysql":
        # MySQL commits at every change of a table, so its lock belongs to the connection, and goes with it
        connection.execute(text("SELECT GET_LOCK(:name, 120)"), {"name": VERSIONS.name})
