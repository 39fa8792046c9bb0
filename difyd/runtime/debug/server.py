"""The debugging port."""

from collections.abc import Sequence
from typing import Final

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.runtime.debug.connection import DebugConnection
from difyd.runtime.debug.inquiries import Desk
from difyd.telemetry.addresses import shown

PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between tries to bind the port; the last one for as long as the daemon runs."""
PATIENCE: Final = 5.0
"""Seconds that connections, and what has to be taken back of their plugins, have to end when the daemon does."""


class DebugServer(Service):
    """
    Listens, and keeps the connections until they are closed.

    A port that somebody else holds costs the debugging only: the daemon goes on, and tries again until it gets it (debug-runtime 1, 14.20).
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, endpoint: IStreamServerEndpoint, desk: Desk, pauses: Sequence[float] = PAUSES) -> None:
        """`endpoint` may speak TLS."""
        self._clock, self._endpoint, self._desk, self._pauses = clock, endpoint, desk, pauses
        self._port: IListeningPort | None = None
        self._binding: Deferred[None] | None = None
        self._open: set[DebugConnection] = set()
        self._none: list[Deferred[None]] = []

    @property
    def address(self) -> IAddress | None:
        """Where it listens; None while it does not."""
        return None if self._port is None else self._port.getHost()

    def startService(self) -> Deferred[None]:
        """Fires when the port is bound, or the first try has failed."""
        super().startService()  # type: ignore[no-untyped-call]
        self._desk.threads.startService()
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Fires when the port and all connections are closed and nothing is shown of their plugins any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        if not await self._bound():
            self._binding = Deferred.fromCoroutine(self._bind_later())
            self._binding.addErrback(self._gave_up)

    async def _bind_later(self) -> None:
        tries = 0
        while True:
            await deferLater(self._clock, self._pauses[min(tries, len(self._pauses) - 1)])
            if await self._bound():
                return
            tries += 1

    async def _bound(self) -> bool:
        try:
            self._port = await self._endpoint.listen(_Factory(self))
        except CannotListenError as why:
            self.log.error("start remote plugin server failed: nobody can debug plugins, the port cannot be bound: {why}", why=str(why))
            return False
        self.log.info("plugins under development are awaited on {address}", address=shown(self._port.getHost()))
        return True

    def _gave_up(self, failure: Failure) -> None:
        if not failure.check(defer.CancelledError):
            self.log.failure("binding the debugging port failed", failure)

    async def _stop(self) -> None:
        if self._binding is not None:
            self._binding.cancel()
        if self._port is not None:
            port, self._port = self._port, None
            await defer.maybeDeferred(port.stopListening)
        try:
            await Deferred.fromCoroutine(self._close()).addTimeout(PATIENCE, self._clock)
        except defer.TimeoutError:
            self.log.warn("{count} debugging connections did not end in order", count=len(self._open))
            for connection in list(self._open):
                connection.cut()
        await self._desk.threads.stopService()

    async def _close(self) -> None:
        await self._desk.plugins.stop()
        for connection in list(self._open):
            connection.close()
        if self._open:
            none: Deferred[None] = Deferred(self._none.remove)
            self._none.append(none)
            await none

    def _connection(self) -> DebugConnection:
        connection = DebugConnection(self._clock, self._desk, self._ended)
        self._open.add(connection)
        return connection

    def _ended(self, connection: DebugConnection) -> None:
        self._open.discard(connection)
        if not self._open:
            waiting, self._none = self._none, []
            for waiter in waiting:
                waiter.callback(None)


class _Factory(ServerFactory):
    noisy = False

    def __init__(self, server: DebugServer) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> DebugConnection:
        return self._server._connection()
