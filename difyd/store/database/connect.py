"""
Engines: how each kind of database is reached (state-and-cluster 2.1, 13; configuration 2.10).

SQLAlchemy and a driver know nothing of the reactor; every connection is used by one thread at a time.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from attrs import field, frozen
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

_READS: Final = "difyd_reads"
"""Execution option of connections that only read."""
_UNSYNCED: Final = "difyd_unsynced"
"""Of connections whose commits need not reach the disk at once."""
_BUSY_TIMEOUT: Final = 5.0
"""Seconds that SQLite waits for a lock which another process holds (an operator's copy); in this process writers queue for one thread."""


def sqlite_engine(path: Path, connections: int) -> Engine:
    """
    The embedded database, in a file that only its owner may read.

    SQLite's own driver begins transactions too late and as readers, which lets two of them read a row and lose one update; so BEGIN is ours.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_TIMEOUT, "check_same_thread": False},
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,  # the page cache of the connection used last is warm
    )
    event.listen(engine, "do_connect", lambda *_: _make_file(path))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading(engine: Engine) -> Engine:
    """The same engine, for transactions that only read: they see one state of the database, and SQLite's writer is not in their way."""
    options: dict[str, Any] = {_READS: True}
    if engine.dialect.name != "sqlite":  # which does so without being told
        options["isolation_level"] = "REPEATABLE READ"
    return engine.execution_options(**options)


def unsynced(engine: Engine) -> Engine:
    """The same engine, for transactions that a power failure may take back. SQLite then does not wait for the disk; servers do."""
    return engine.execution_options(**{_UNSYNCED: True})


def _make_file(path: Path) -> None:
    """
    The journal files get the mode of the database's own.

    One that is there is not opened, not for a moment: to close it would give up the locks that other connections of this process have on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2), and another process would delete the journal from under them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """Straight to the driver: SQLAlchemy's way costs as much as a look-up."""
    driver, options = connection.connection.driver_connection, connection.get_execution_options()
    assert isinstance(driver, sqlite3.Connection)
    statement = "BEGIN" if options.get(_READS) else "BEGIN IMMEDIATE"
    synchronous = "NORMAL" if options.get(_UNSYNCED) else "FULL"
    try:
        if not options.get(_READS) and connection.info.setdefault("synchronous", "FULL") != synchronous:
            driver.execute(f"PRAGMA synchronous={synchronous}").close()
            connection.info["synchronous"] = synchronous
        driver.execute(statement).close()
    except sqlite3.Error as why:
        raise OperationalError(statement, None, why) from why


@frozen
class Server:
    """Where a database server is, in the words of the `DB_*` settings."""

    kind: Literal["postgresql", "pgbouncer", "mysql"]
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    database: str
    ssl_mode: str = "disable"
    ssl_root_cert: str = ""
    charset: str = ""
    extras: str = ""
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    write_timeout: float = 30.0
    """The three time limits are in seconds and MySQL's alone, as in the reference."""
    idle_connections: int = 10
    open_connections: int = 30
    """0 means no limit, which is a hundred here: each may need a thread."""
    lifetime: int = 3600
    """Seconds after which a connection is replaced."""

    @property
    def most(self) -> int:
        return self.open_connections or 100


def server_engine(server: Server) -> Engine:
    """PostgreSQL through psycopg2, MySQL through PyMySQL; the driver is imported here. Opens nothing."""
    scheme, arguments = _mysql(server) if server.kind == "mysql" else _postgresql(server)
    idle = max(1, min(server.idle_connections, server.most))  # 0 would mean "no limit" to SQLAlchemy
    return create_engine(
        URL.create(scheme, server.username, server.password, server.host, server.port, server.database),
        connect_args=arguments,
        pool_size=idle,
        max_overflow=server.most - idle,
        pool_recycle=server.lifetime,
        isolation_level="READ COMMITTED",  # MySQL's own default would show what was true before a lock was waited for
        pool_pre_ping=True,  # a connection that died while idle is replaced before it can fail a transaction
    )


def _postgresql(server: Server) -> tuple[str, dict[str, Any]]:
    """psycopg2 sends no prepared statements, so PgBouncer needs nothing else."""
    arguments: dict[str, Any] = {"sslmode": server.ssl_mode}
    if server.ssl_root_cert:
        arguments["sslrootcert"] = server.ssl_root_cert
    if server.charset:
        arguments["client_encoding"] = server.charset
    if options := server.extras.replace("options=", ""):
        arguments["options"] = options
    return "postgresql+psycopg2", arguments


def _mysql(server: Server) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": server.connect_timeout,
        "read_timeout": server.read_timeout,
        "write_timeout": server.write_timeout,
        "init_command": "SET time_zone = '+00:00'",
    }
    if server.ssl_mode != "disable":
        arguments["ssl"] = {"ca": server.ssl_root_cert or None, "check_hostname": server.ssl_mode == "verify-full"}
    return "mysql+pymysql", arguments
