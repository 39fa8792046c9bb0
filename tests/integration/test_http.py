"""The site on real sockets: what only a kernel between client and server can show."""

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from klein import Klein
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from difyd.web.body import IN_MEMORY
from difyd.web.channel import LINGER_BYTES
from difyd.web.request import Request
from difyd.web.routes import BodyLimit, Group
from tests.web.cable import SAY, Parrot, get, guarded, parts, post, site_of, status

MIB = 1024 * 1024


class Endless:
    """A call that ends with its client."""

    app = Klein()

    def __init__(self) -> None:
        self.begun = Event()
        self.gone: Deferred[None] = Deferred()

    @app.route("/endless", methods=["GET"])
    async def call(self, request: Request) -> bytes | None:
        self.begun.set()
        return await Deferred(lambda _: self.gone.callback(None))


class OnSockets(TestCase):
    timeout = 60

    def setUp(self) -> None:
        pool = ThreadPool(0, 2)
        pool.start()
        self.addCleanup(pool.stop)
        self.parrot, self.endless = Parrot(), Endless()
        directory = Path(self.mktemp())
        directory.mkdir()
        site = site_of(
            guarded(self.parrot, limit=BodyLimit(64 * MIB)),
            Group(self.endless),
            clock=reactor,
            in_thread=lambda *call, **more: deferToThreadPool(reactor, pool, *call, **more),
            directory=directory,
        )
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(site.close_all(10)))
        self.site, self.directory = site, directory

    async def talk(self, client: Callable[[socket.socket], Any]) -> Any:
        """Let a blocking client talk to the site, on a thread."""

        def run() -> Any:
            with socket.create_connection(("127.0.0.1", self.port.getHost().port), timeout=30) as connection:
                return client(connection)

        return await deferToThread(run)

    async def test_refusal_reaches_its_client(self) -> None:
        """A client that sends everything before it reads gets its 401, and meanwhile others are served."""
        size = 128 * MIB
        self.assertLess(size, LINGER_BYTES)

        def careless(connection: socket.socket) -> bytes:
            connection.sendall(post(SAY, key=b"wrong").replace(b"Content-Length: 0", b"Content-Length: %d" % size))
            for _ in range(size // MIB):
                connection.sendall(bytes(MIB))
            return connection.recv(65536)

        def other(connection: socket.socket) -> int:
            answered = 0
            for _ in range(50):
                connection.sendall(get("/open"))
                answered += status(connection.recv(65536)) == 200
            return answered

        both = [Deferred.fromCoroutine(self.talk(client)) for client in (careless, other)]
        refused, served = await gatherResults(both)
        self.assertEqual((status(refused), served, self.parrot.seen), (401, 50, []))

    async def test_large_body(self) -> None:
        """A large body arrives whole, by way of a file of which nothing is left."""
        body = bytes(range(256)) * (4 * IN_MEMORY // 256)

        def send(connection: socket.socket) -> bytes:
            connection.sendall(post(SAY, body))
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < len(body):  # all of the body, which its head comes before
                received += connection.recv(MIB)
            return received

        _, _, answered = parts(await self.talk(send))
        self.assertEqual((answered == body, [one == body for _, one in self.parrot.seen]), (True, [True]))
        self.assertEqual(list(self.directory.iterdir()), [])

    async def test_disconnect(self) -> None:
        """A client that closes its connection cancels its call."""

        def leave(connection: socket.socket) -> None:
            connection.sendall(get("/endless"))
            self.assertTrue(self.endless.begun.wait(30))

        await self.talk(leave)
        await self.endless.gone
