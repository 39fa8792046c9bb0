"""Looks after tasks that nobody looks after any more (state-and-cluster 6.1, 6.5, 12.4)."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.installs import SHUTDOWN, Installs, presence
from difyd.errors import DaemonError, InternalError
from difyd.store.cache.interfaces import ILeases
from difyd.store.database import tasks
from difyd.store.database.engine import Database, Transaction
from difyd.store.database.tasks import Unfinished
from difyd.store.database.times import from_text

ROUND: Final = 30.0
"""Seconds between two looks."""
SHOWN: Final = timedelta(seconds=120)
"""How long a task stays after it has succeeded as a whole."""
ABANDONED: Final = "Task timed out but not properly terminated"


class Monitor(Service):
    """
    Deletes tasks that have succeeded, and fails those whose owner is gone.

    Every node may run one. An owner is alive while it holds its lease (see `Installs`); a task of an older daemon, which names none, is given
    up when nothing has happened to it for `limit` seconds. Nothing is inserted, and what has ended is left as it is.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        database: Database,
        leases: ILeases,
        installs: Installs,
        node: str,
        limit: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`limit`: seconds that a healthy job can last, and something."""
        self._database, self._leases, self._installs, self._node = database, leases, installs, node
        self._limit, self._now = limit, now
        self._rounds = Background()
        self._looking = LoopingCall(self._look_again)
        self._looking.clock = clock

    def startService(self) -> Deferred[None]:
        """Fires after the first look: tasks of a run that was killed have ended before anybody can ask for them."""
        Service.startService(self)
        self._looking.start(ROUND, now=False).addErrback(self._broken)
        return self._rounds.finish("the first look at install tasks", self._look())

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        if self._looking.running:
            self._looking.stop()
        return self._rounds.idle()

    def _look_again(self) -> Deferred[None]:
        return self._rounds.finish("a look at install tasks", self._look())

    def _broken(self, failure: object) -> None:
        self.log.error("install tasks are not looked after any more: {failure}", failure=failure)

    async def _look(self) -> None:
        try:
            now = datetime.fromtimestamp(self._now(), UTC)
            unfinished = await self._database.run(_sweep_blocking, now - SHOWN)
            given_up = dict.fromkeys(self._forgotten(unfinished, now), ABANDONED)
            for owner in {task.owner for task in unfinished} - {"", self._node}:
                if await self._gone(owner):
                    given_up |= {task.task.id: SHUTDOWN for task in unfinished if task.owner == owner}
            for task, message in given_up.items():
                if await self._database.run(tasks.fail_blocking, task, message):
                    self.log.warn("task timed out: nobody works on install task {task} any more", task=task)
        except DaemonError as why:
            self.log.warn("cannot look after install tasks now: {why}", why=str(why))

    def _forgotten(self, unfinished: Sequence[Unfinished], now: datetime) -> list[str]:
        """Ours whose end could not be written, and those without an owner that nobody has touched for too long."""
        ours = self._installs.lost(task.task.id for task in unfinished if task.owner == self._node)
        early = now - timedelta(seconds=self._limit)
        return ours + [task.task.id for task in unfinished if not task.owner and from_text(task.task.updated_at) < early]

    async def _gone(self, owner: str) -> bool:
        try:
            lease = await self._leases.acquire(presence(owner), ROUND)
        except InternalError:  # nobody can be asked now
            return False
        if lease is None:
            return False
        await lease.release()
        return True


def _sweep_blocking(transaction: Transaction, succeeded_before: datetime) -> list[Unfinished]:
    tasks.expire_blocking(transaction, succeeded_before)
    return tasks.unfinished_blocking(transaction)
