"""The database as a part of the daemon: open, transactions on threads, close."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Concatenate, ParamSpec, TypeVar

from attrs import field, frozen
from sqlalchemy import Connection, Engine
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from difyd.errors import InternalError
from difyd.store.database.ids import Ids
from difyd.store.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseFailed(InternalError):
    """The database refused a statement or cannot be reached. The text is the driver's, in one line."""


@frozen(eq=False)
class Transaction:
    """What a repository works with; lives on one thread, for one transaction."""

    connection: Connection
    ids: Ids
    moment: datetime
    """The time of every row that this transaction writes."""
    zone: tzinfo = field(default=UTC)
    """In which times are shown."""


class Database(Service):
    """
    Runs functions in transactions on its own threads: one thread hop, one transaction per call.

    SQLite has one writer at a time: `writers` is then a pool of one thread, where writes queue instead of polling for the file's lock.
    """

    ids: Ids

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
        raise NotImplementedError

    async def run(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Call `work(transaction, ...)` on a thread and commit; whatever it raises rolls back and comes out as it is.

        The transaction begins with its first statement. When the database broke it off for reasons of its own (deadlock, serialization,
        lock) `work` is called again, so it must be safe to repeat. Raises DatabaseFailed; ShuttingDown when closed.
        """
        raise NotImplementedError

    async def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for work that only reads: it sees one state of the database and is in no writer's way. Nothing is committed."""
        raise NotImplementedError

    def startService(self) -> Deferred[None]:
        """Fires when the database is open and its tables are up to date. Fails with DatabaseFailed."""
        raise NotImplementedError

    def stopService(self) -> Deferred[None]:
        """Lets running transactions end, then closes all connections and joins the threads."""
        raise NotImplementedError
