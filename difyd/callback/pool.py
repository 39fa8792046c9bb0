"""The one pool of connections to Dify."""

from collections.abc import Hashable
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import Agent, HTTPConnectionPool

from difyd.hangup import hung_up

CONNECT: Final = 5.0
"""Seconds until a connection must be there (backwards-invocation 6.4)."""
IDLE_CONNECTIONS: Final = 32
"""Connections that are kept although nobody uses them."""


class KeptConnections(HTTPConnectionPool):
    """
    A pool that gives no connection of which the other side has taken leave.

    What Dify is asked cannot be asked twice, so a request is not repeated when a kept connection turns out to be closed. The reactor learns of
    a close only in its next turn; a look at the socket tells at once.
    """

    retryAutomatically = False
    maxPersistentPerHost = IDLE_CONNECTIONS

    def __init__(self, reactor: Any, idle: int) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self.cachedConnectionTimeout = idle

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        return super().getConnection(key, endpoint).addCallback(self._alive, key, endpoint)

    def close(self) -> Deferred[None]:
        """Fires when no connection is kept any more."""
        closed: Deferred[None] = self.closeCachedConnections()  # type: ignore[no-untyped-call]
        return closed

    def _alive(self, connection: Any, key: Hashable, endpoint: IStreamClientEndpoint) -> Any:
        if not hung_up(connection.transport):
            return connection
        connection.transport.abortConnection()
        return self.getConnection(key, endpoint)


class DifyConnections(Service):
    """Connections to Dify: kept for further requests, closed when the daemon stops. No proxy, no cookies, no redirects of its own."""

    def __init__(self, reactor: Any, idle: int) -> None:
        """`idle` is `DIFY_INVOCATION_CONNECTION_IDLE_TIMEOUT`, in seconds."""
        self._pool = KeptConnections(reactor, idle)
        agent = Agent(reactor, connectTimeout=CONNECT, pool=self._pool)
        self.client = HTTPClient(agent, IndexableCookieJar(policy=DefaultCookiePolicy(allowed_domains=[])))

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return self._pool.close()
