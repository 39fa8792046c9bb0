"""The listener: a port that opens last, a drain that loses nothing."""

from pathlib import Path

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.errors import InternalError
from difyd.telemetry.metrics import NoMetrics
from difyd.web.app import LAST_WORDS, Listener
from difyd.web.traffic import Traffic
from tests.web.cable import SAY, WAIT, Cable, Parrot, guarded, post, site_of, status

GRACE = 30


@implementer(IListeningPort)
class Port:
    open = True

    def startListening(self) -> None: ...

    def stopListening(self) -> Deferred[None]:
        self.open = False
        return succeed(None)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 5002)


@implementer(IStreamServerEndpoint)
@define(eq=False)
class Endpoint:
    """A place to listen at, taken or free."""

    taken: bool = False
    port: Port = field(factory=Port)

    def listen(self, factory: Factory) -> Deferred[Port]:
        if self.taken:
            return fail(CannotListenError("127.0.0.1", 5002, OSError(98, "Address already in use")))
        return succeed(self.port)


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.directory = Path(self.mktemp())
        self.parrot = Parrot()
        self.traffic = Traffic(NoMetrics())
        self.endpoint = Endpoint()
        self.ended = 0
        self.site = site_of(guarded(self.parrot), clock=self.clock, traffic=self.traffic, directory=self.directory)
        self.listener = Listener(self.clock, self.endpoint, self.site, self.traffic, GRACE, self.end_calls)

    def end_calls(self) -> None:
        """What the invoker does: every open call gets its last word."""
        self.ended += 1
        for call in self.parrot.open:
            call.callback(b"ended")

    def stopped(self, stopping: "Deferred[None]") -> None:
        """The listener has stopped, once the kernel has told of the connections that it closed."""
        for channel in list(self.site.channels):
            self.assertTrue(channel.transport.disconnecting)
            channel.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopping)

    def start(self) -> None:
        self.successResultOf(self.listener.startService())

    def test_start(self) -> None:
        """Starting makes the directory for bodies, private, and sweeps what a killed process left in it."""
        self.directory.mkdir()
        (self.directory / "upload-1").write_bytes(b"x")
        self.start()
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_directory_is_private(self) -> None:
        """Nobody else may read what is uploaded."""
        self.start()
        self.assertEqual(self.directory.stat().st_mode & 0o777, 0o700)

    def test_taken(self) -> None:
        """A port that is taken fails the start with a sentence for the operator."""
        self.endpoint.taken = True
        why = self.failureResultOf(self.listener.startService(), InternalError).value
        self.assertIn("Address already in use", str(why))

    def test_stop_when_idle(self) -> None:
        """Without calls it stops at once and closes the connections that clients keep."""
        self.start()
        cable = Cable(self.site)
        cable.send(post(SAY, b"x"))
        self.stopped(self.listener.stopService())
        self.assertEqual((cable.socket.disconnecting, self.endpoint.port.open), (True, False))

    def test_calls_finish(self) -> None:
        """Open calls may end by themselves; new ones are refused meanwhile, on the port that is still open; then the connection is closed."""
        self.start()
        cable, late = Cable(self.site), Cable(self.site)
        cable.send(post(WAIT))
        stopped = self.listener.stopService()
        self.assertTrue(self.endpoint.port.open)
        self.assertEqual(status(Cable(self.site).send(post(SAY, b"x"))), 503)
        self.assertTrue(late.socket.disconnecting)
        self.clock.advance(GRACE - 1)
        self.assertNoResult(stopped)
        self.parrot.open[0].callback(b"{}")
        self.assertEqual(status(cable.read()), 200)
        self.stopped(stopped)
        self.assertEqual((cable.socket.disconnecting, self.ended), (True, 0))

    def test_calls_are_ended(self) -> None:
        """After the grace period those that are still open are ended, each with an answer."""
        self.start()
        cable = Cable(self.site)
        cable.send(post(WAIT))
        stopped = self.listener.stopService()
        self.clock.advance(GRACE)
        self.assertTrue(cable.read().endswith(b"ended"))
        self.stopped(stopped)
        self.assertEqual(self.ended, 1)

    def test_calls_that_do_not_end(self) -> None:
        """What does not even end then does not keep the daemon."""
        self.start()
        cable = Cable(self.site)
        cable.send(post(SAY, b"never complete")[:-1])
        stopped = self.listener.stopService()
        self.clock.advance(GRACE)
        self.assertNoResult(stopped)
        self.clock.advance(LAST_WORDS)
        self.stopped(stopped)
        self.assertTrue(cable.socket.disconnecting)

    def test_clients_that_do_not_read(self) -> None:
        """A connection that cannot be closed, because its client does not read what it was sent, is cut."""
        self.start()
        cable = Cable(self.site)
        stopped = self.listener.stopService()
        self.assertNoResult(stopped)
        self.clock.advance(LAST_WORDS)
        self.assertTrue(cable.socket.disconnected)
        self.successResultOf(stopped)

    def test_stop_before_start(self) -> None:
        """A start that failed can be stopped like any other."""
        self.endpoint.taken = True
        self.failureResultOf(self.listener.startService(), InternalError)
        self.successResultOf(self.listener.stopService())
