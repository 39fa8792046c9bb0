"""The database as a part of the daemon: open, transactions on threads, close."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from attrs import field, frozen
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from difyd.store.database import connect, schema
from difyd.store.database.failures import DatabaseFailed, describe, worth_repeating
from difyd.store.database.ids import Ids
from difyd.store.database.memory import Memory
from difyd.store.threads import OneThread, Threads

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3
"""How often a transaction is tried that the database keeps breaking off."""
READERS = 4
"""Threads that read the embedded database at the same time; one more writes."""


@frozen(eq=False)
class Transaction:
    """What a repository works with; lives on one thread, for one transaction."""

    connection: Connection
    ids: Ids
    moment: datetime
    """The time of every row that this transaction writes."""
    zone: tzinfo = field(default=UTC)
    """In which times are shown."""
    memory: Memory = field(factory=Memory)

    def stamps(self) -> dict[str, object]:
        """The columns that every new row starts with."""
        return {"id": self.ids.new(), "created_at": self.moment, "updated_at": self.moment}


class Database(Service):
    """
    Runs functions in transactions on its own threads: one thread hop, one transaction per call.

    SQLite has one writer at a time: `writers` is then one thread, where writes queue instead of polling for the file's lock.
    """

    log = Logger()

    def __init__(
        self,
        engine: Engine,
        *,
        readers: Threads,
        writers: Threads,
        zone: tzinfo = UTC,
        migrate: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.ids = Ids(now)
        self.zone = zone
        self.memory = Memory()
        self._engine = engine
        self._reading, self._unsynced = connect.reading(engine), connect.unsynced(engine)
        self._readers, self._writers = readers, writers
        self._threads = tuple(dict.fromkeys((readers, writers)))  # a server has one pool for both
        self._broken: set[Threads] = set()
        self._migrate = migrate
        self._now = now

    @classmethod
    def embedded(cls, reactor: IReactorFromThreads, path: Path, *, zone: tzinfo = UTC, migrate: bool = True) -> Self:
        """SQLite in the file `path`."""
        return cls(
            connect.sqlite_engine(path, READERS + 1),
            readers=Threads(reactor, ThreadPool(0, READERS, "database-read")),
            writers=OneThread(reactor, ThreadPool(0, 1, "database-write")),
            zone=zone,
            migrate=migrate,
        )

    @classmethod
    def on_server(cls, reactor: IReactorFromThreads, server: connect.Server, *, zone: tzinfo = UTC, migrate: bool = True) -> Self:
        """PostgreSQL or MySQL: as many threads as connections, made when they are needed."""
        threads = Threads(reactor, ThreadPool(0, server.most, "database"))
        return cls(connect.server_engine(server), readers=threads, writers=threads, zone=zone, migrate=migrate)

    @property
    def healthy(self) -> bool:
        """
        Did the database do what was asked of it last? For who asks whether the daemon is ready; errors of a statement do not count.

        Reading and writing are judged apart: from a full disk one can read.
        """
        return not self._broken

    async def run(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Call `work(transaction, ...)` on a thread and commit; whatever it raises rolls back and comes out as it is.

        The transaction begins with its first statement. When the database broke it off for reasons of its own (deadlock, serialization,
        lock) `work` is called again, so it must be safe to repeat. Raises DatabaseFailed; ShuttingDown when closed.
        """
        return await self._transact(self._writers, self._engine, lambda transaction: work(transaction, *args, **kwargs))

    async def run_unsynced(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, where a power failure may take the last seconds back; for what can be counted again. Saves SQLite a wait for the disk."""
        return await self._transact(self._writers, self._unsynced, lambda transaction: work(transaction, *args, **kwargs))

    async def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for work that only reads: it sees one state of the database and is in no writer's way. Nothing is committed."""
        return await self._transact(self._readers, self._reading, lambda transaction: work(transaction, *args, **kwargs))

    def startService(self) -> Deferred[None]:
        """Fires when the database is open and its tables are up to date. Fails with DatabaseFailed."""
        Service.startService(self)
        for threads in self._threads:
            threads.startService()
        return Deferred.fromCoroutine(self._open())

    def stopService(self) -> Deferred[None]:
        """Lets running transactions end, then closes all connections and joins the threads."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._close())

    async def _transact(self, threads: Threads, engine: Engine, work: Callable[[Transaction], T]) -> T:
        try:
            result = await threads.run(self._run_blocking, engine, work)
        except DatabaseFailed as why:
            (self._broken.add if why.out_of_order else self._broken.discard)(threads)
            self.log.error("{why}, in {statement}", why=str(why), statement=why.statement)
            raise
        self._broken.discard(threads)
        return result

    async def _open(self) -> None:
        for sentence in await self._writers.run(self._prepare_blocking):
            self.log.info("database: {change}", change=sentence)

    async def _close(self) -> None:
        for threads in self._threads:
            await threads.stopService()
        self._engine.dispose()

    def _prepare_blocking(self) -> list[str]:
        try:
            return schema.prepare_blocking(self._engine, migrate=self._migrate)
        except SQLAlchemyError as error:
            raise DatabaseFailed(f"{describe(error)} ({self._engine.url.render_as_string()})") from error  # without the password
        except OSError as error:
            raise DatabaseFailed(f"database: {error}") from error

    def _run_blocking(self, engine: Engine, work: Callable[[Transaction], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt_blocking(engine, work)
            except SQLAlchemyError as error:
                if attempt == ATTEMPTS or not worth_repeating(error):
                    raise describe(error) from error
        raise AssertionError("unreachable")

    def _attempt_blocking(self, engine: Engine, work: Callable[[Transaction], T]) -> T:
        with engine.connect() as connection:  # leaving it rolls back what was not committed
            result = work(Transaction(connection, self.ids, datetime.fromtimestamp(self._now(), UTC), self.zone, self.memory))
            if engine is not self._reading:
                connection.commit()
            return result


__all__ = ["ATTEMPTS", "Database", "DatabaseFailed", "Transaction"]
