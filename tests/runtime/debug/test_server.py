"""The port: bound, or tried again; closed with everything behind it."""

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.runtime.debug.server import DebugServer
from tests.runtime.debug.house import Cable, DebugHouse, Developer

HERE = IPv4Address("TCP", "127.0.0.1", 5003)


@implementer(IListeningPort)
@define(eq=False)
class Port:
    closed: bool = False

    def startListening(self) -> None: ...

    def stopListening(self) -> None:
        self.closed = True

    def getHost(self) -> IPv4Address:
        return HERE


@implementer(IStreamServerEndpoint)
@define(eq=False)
class Endpoint:
    """A port that somebody else holds for the first `taken` tries."""

    taken: int = 0
    tries: int = 0
    port: Port = field(factory=Port)
    factory: IProtocolFactory | None = None

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.tries += 1
        if self.tries <= self.taken:
            return fail(CannotListenError("127.0.0.1", 5003, OSError("Address already in use")))
        self.factory = factory
        return succeed(self.port)


class ServerTests(DebugHouse):
    def serve(self, taken: int = 0) -> None:
        self.endpoint = Endpoint(taken)
        self.server = DebugServer(self.clock, self.endpoint, self.desk)
        self.successResultOf(self.server.startService())

    def accept(self) -> Developer:
        assert self.endpoint.factory is not None
        connection, cable = self.endpoint.factory.buildProtocol(HERE), Cable(peerAddress=HERE)
        connection.makeConnection(cable)
        return Developer(self.clock, connection, cable)

    def test_serves(self) -> None:
        """Connections to the port are those of plugins."""
        self.serve()
        self.assertEqual(self.server.address, HERE)
        self.assertEqual(self.accept().register().told, "")
        self.assertEqual(self.events[-1][0], "shown")

    def test_taken(self) -> None:
        """A port that somebody holds does not hinder the start; it is tried again until it is free."""
        self.serve(taken=3)
        self.assertIsNone(self.server.address)
        self.clock.pump([2.0, 4.0, 8.0])
        self.assertEqual((self.endpoint.tries, self.server.address), (4, HERE))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_taken(self) -> None:
        """The end of the daemon ends the trying."""
        self.serve(taken=99)
        self.successResultOf(self.server.stopService())
        self.assertEqual((self.endpoint.tries, self.clock.getDelayedCalls()), (1, []))

    def test_stop(self) -> None:
        """The port closes first, then the connections, registered or not; it is over when they are gone and nothing is shown."""
        self.serve()
        plugin, stranger, refused = self.accept().register(), self.accept(), self.accept().say("garbage")
        stopping = self.server.stopService()
        self.assertTrue(self.endpoint.port.closed)
        self.assertEqual((plugin.cable.disconnecting, stranger.cable.disconnecting, plugin.told), (True, True, ""))
        self.assertEqual(self.host.rows, {})
        for developer in (plugin, stranger, refused):
            self.assertNoResult(stopping)
            developer.connection.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_is_bounded(self) -> None:
        """Connections that do not end are cut off after five seconds."""
        self.serve()
        stubborn = self.accept().register()
        stopping = self.server.stopService()
        self.clock.advance(4.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.successResultOf(stopping)
        self.assertTrue(stubborn.cable.disconnected)
