"""The HTTP side of the daemon as one part with a life: it listens last and stops first."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger

from difyd.errors import InternalError
from difyd.telemetry.addresses import shown
from difyd.web.body import InThread
from difyd.web.front import Front
from difyd.web.routes import Group, Mount, Routes
from difyd.web.site import Site
from difyd.web.traffic import Traffic

LAST_WORDS: Final = 2.0
"""Seconds for answers that are written already to reach their clients."""


def make_site(
    reactor: IReactorTime,
    groups: Iterable[Group],
    mounts: Iterable[Mount],
    traffic: Traffic,
    in_thread: InThread,
    directory: Path,
    now: Callable[[], float] = time.time,
) -> Site:
    """All routes of the daemon behind one site; `directory` holds bodies and uploads while they are worked on."""
    return Site(reactor, Front(Routes.of(groups, mounts), traffic), traffic, in_thread, directory, now)


class Listener(Service):
    """
    Serves `site` on `endpoint`.

    Stopping: new calls are refused with 503 and idle connections closed at once; calls that run may finish within `grace` seconds; those that
    are still open then are ended by `end_calls`, which gives each an error that its client can read; the port is closed last.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamServerEndpoint,
        site: Site,
        traffic: Traffic,
        grace: float,
        end_calls: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor, self._endpoint, self._site, self._traffic = reactor, endpoint, site, traffic
        self._grace, self._end_calls = grace, end_calls
        self._port: IListeningPort | None = None

    def startService(self) -> Deferred[None]:
        """Fires when clients can connect. Fails with InternalError when the port cannot be opened."""
        super().startService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Fires when the port and every connection are closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        await self._site.prepare()
        try:
            self._port = await self._endpoint.listen(self._site)
        except CancelledError:
            raise
        except Exception as why:  # CannotListenError, and whatever a parser of descriptions may raise
            raise InternalError(f"cannot serve HTTP: {why}") from why
        self.log.info("HTTP is served at {address}", address=shown(self._port.getHost()))

    async def _stop(self) -> None:
        self._traffic.close()
        self._site.close_idle()
        if self._traffic.active:
            self.log.info("waiting up to {grace} s for {calls} open requests", grace=self._grace, calls=self._traffic.active)
        if not await self._idle(self._grace):
            self.log.warn("{calls} requests are still open and are ended now", calls=self._traffic.active)
            self._end_calls()
            await self._idle(LAST_WORDS)
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        await self._site.close_all(LAST_WORDS)

    async def _idle(self, seconds: float) -> bool:
        """Is nothing under way within that time?"""
        try:
            await self._traffic.idle().addTimeout(seconds, self._reactor)
        except TimeoutError:
            return False
        return True
