"""The one pool of connections to Dify."""

from collections.abc import Callable, Hashable
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

from attrs import frozen
from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.iweb import IResponse

from difyd.callback.unzip import Unzipping
from difyd.hangup import at_rest

CONNECT: Final = 5.0
"""Seconds until a connection must be there (backwards-invocation 6.4)."""
IDLE_CONNECTIONS: Final = 32
"""Connections that are kept although nobody uses them."""
_LEFT: Final = "TRANSMITTING_AFTER_RECEIVING_RESPONSE"
"""What twisted.web calls a connection whose peer has answered without having read the request."""


@frozen(eq=False)
class Connection:
    """
    A connection for one request.

    A kept connection may be closed by Dify in the very moment in which we write to it. When it is lost before a byte of an answer has come, the
    request was hardly read, but it may have been: another connection gets it if it changes nothing, or if not all of it was sent.
    """

    log = Logger()

    _protocol: Any
    _renew: "Callable[[], Deferred[Connection]] | None" = None
    """Makes a new one in the place of one that was kept."""

    def request(self, request: Any) -> Deferred[IResponse]:
        answered: Deferred[IResponse] = self._protocol.request(request)
        answered.addCallbacks(self._answered, self._failed, errbackArgs=(request,))
        return answered

    def _answered(self, response: IResponse) -> IResponse:
        if self._protocol.state == _LEFT:  # the answer is whole; what is left of the request may never be read
            self._protocol.transport.abortConnection()
        return response

    def _failed(self, why: Failure, request: Any) -> Any:
        if self._renew is None or not (why.check(RequestTransmissionFailed) or (request.bodyProducer.repeatable and _unheard(why))):
            return why
        self.log.debug("a kept connection to Dify was closed while a request was written to it; another one gets it")
        return self._renew().addCallback(lambda other: other.request(request))


def _unheard(why: Failure) -> bool:
    """Was the connection lost, and not by us, before a byte of an answer?"""
    return isinstance(why.value, ResponseNeverReceived) and any(reason.check(ConnectionLost, ConnectionDone) for reason in why.value.reasons)


class KeptConnections(HTTPConnectionPool):
    """
    A pool that gives no connection of which the other side has taken leave.

    The reactor learns of a close only in its next turn; a look at the socket tells at once.
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

    def _newConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        return super()._newConnection(key, endpoint).addCallback(Connection)

    def _alive(self, found: Any, key: Hashable, endpoint: IStreamClientEndpoint) -> Any:
        if isinstance(found, Connection):
            return found  # a new one
        if at_rest(found.transport):
            return Connection(found, lambda: self._newConnection(key, endpoint))
        found.transport.abortConnection()
        return self.getConnection(key, endpoint)


class DifyConnections(Service):
    """Connections to Dify: kept for further requests, closed when the daemon stops. No proxy, no cookies, no redirects of its own."""

    def __init__(self, reactor: Any, idle: int) -> None:
        """`idle` is `DIFY_INVOCATION_CONNECTION_IDLE_TIMEOUT`, in seconds."""
        self._pool = KeptConnections(reactor, idle)
        agent = Unzipping(Agent(reactor, connectTimeout=CONNECT, pool=self._pool))
        self.client = HTTPClient(agent, IndexableCookieJar(policy=DefaultCookiePolicy(allowed_domains=[])))

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return self._pool.close()
