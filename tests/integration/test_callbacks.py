"""Callbacks over real connections: who is slow, who leaves, and what is kept."""

import contextlib
import gzip
import json
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from difyd.callback.callbacks import Callbacks
from difyd.callback.dify import Dify
from difyd.callback.errors import InnerApiError
from difyd.callback.inner_api import InnerApi, Limits
from difyd.callback.pool import DifyConnections
from difyd.callback.storage import PluginStorage
from tests.callback.fakes import KEY, LLM, TRACE, Channel, call, chunk, frame, message
from tests.callback.test_storage import MemoryData

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


LIMITS = Limits(read=30, write=30, frame=1 << 20)


def piece(data: bytes) -> bytes:
    """A piece of a chunked body; an empty one is its end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(data: object, *headers: bytes) -> bytes:
    body = data if isinstance(data, bytes) else json.dumps({"data": data, "error": ""}).encode()
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body), b"", body])


def begin_and_close(connection: "Connection") -> None:
    connection.transport.write(b"HTTP/1.1 2")
    connection.transport.loseConnection()


class Connection(Protocol):
    """One connection of the daemon: requests are read whole, then answered as the test says."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.lost: Deferred[None] = Deferred()
        self.requests: list[bytes] = []
        self._held = b""

    def connectionMade(self) -> None:
        self.server.connections.append(self)
        self.server.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= length:
            self._held = b""
            self.requests.append(head)
            self.server.answer(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


@define(eq=False)
class Server(Factory):
    """A Dify of which a test decides every byte."""

    answer: Callable[[Connection], Any]
    connected: Callable[[Connection], Any] = lambda _: None
    connections: list[Connection] = field(factory=list)
    port: Any = None

    def buildProtocol(self, _: object) -> Connection:
        return Connection(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.getHost().port}"


@implementer(IPushProducer)
@define(eq=False)
class Flood:
    """Writes frames for as long as the connection takes them."""

    connection: Connection
    frames: int
    sent: int = 0
    paused: bool = False

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused and self.sent < self.frames:
            self.connection.transport.write(piece(frame(chunk(f"{self.sent} " + "x" * 10_000))))
            self.sent += 1
        if self.sent == self.frames and not self.paused:
            self.connection.transport.unregisterProducer()
            self.connection.transport.write(piece(b""))

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.paused = True


class ConnectionTests(TestCase):
    timeout = 60

    async def start(self, answer: Callable[[Connection], Any], **more: Any) -> Server:
        server = Server(answer, **more)
        server.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
        self.addCleanup(self.stop, server)
        self.connections = DifyConnections(reactor, 120)
        self.addCleanup(self.connections.stopService)
        self.use(server.url)
        return server

    def use(self, url: str, limits: Limits = LIMITS) -> None:
        self.api = InnerApi(reactor, self.connections.client, url, KEY, limits)  # type: ignore[arg-type]

    async def stop(self, server: Server) -> None:
        await maybeDeferred(server.port.stopListening)
        for connection in server.connections:
            connection.transport.abortConnection()
            await connection.lost

    def turn(self) -> Deferred[None]:
        """Let the reactor do what is due."""
        return deferLater(reactor, 0)  # type: ignore[arg-type]

    async def result(self, body: bytes = b"{}") -> Any:
        return json.loads(bytes(await (await self.api.ask("p", body, TRACE)).result()))

    async def failure(self, body: bytes = b"{}") -> str:
        with self.assertRaises(InnerApiError) as caught:
            await self.result(body)
        return str(caught.exception)

    def callbacks(self) -> Callbacks:
        return Callbacks(reactor, Dify(self.api), PluginStorage(MemoryData()))  # type: ignore[arg-type]

    async def test_kept(self) -> None:
        """Requests one after another use one connection, and no cookie of one is carried to another."""
        server = await self.start(lambda connection: connection.transport.write(answer({}, b"Set-Cookie: session=1; Path=/")))
        for _ in range(5):
            self.assertEqual(await self.result(), {})
        (connection,) = server.connections
        self.assertEqual(len(connection.requests), 5)
        self.assertNotIn(b"cookie", connection.requests[-1].lower())

    async def test_kept_but_closed(self) -> None:
        """A kept connection that Dify has just closed is not used, although the reactor has not heard of it yet."""
        server = await self.start(lambda connection: connection.transport.write(answer({})))
        await self.result()
        server.connections[0].transport.getHandle().shutdown(2)
        self.assertEqual(await self.result(), {})
        self.assertEqual([len(connection.requests) for connection in server.connections], [1, 1])

    async def test_refused(self) -> None:
        """Nobody listens."""
        server = await self.start(lambda _: None)
        await maybeDeferred(server.port.stopListening)
        self.assertEqual(await self.failure(), "Dify cannot be reached: connection refused")

    async def test_reset(self) -> None:
        """A connection that is reset instead of answered, in its head and in its body."""
        for before, text in (
            (b"", "the connection to Dify was lost before it answered"),
            (b"HTTP/1.1 200 O", "the connection to Dify was lost before it answered"),
            (answer({"a": 1})[:-1], "the connection to Dify was lost before the end of its answer"),
        ):

            def cut(connection: Connection, before: bytes = before) -> None:
                connection.transport.write(before)
                connection.transport.loseConnection()

            await self.start(cut)
            self.assertEqual(await self.failure(), text)

    async def lose_second(self, how: Callable[[Connection], None], *, repeatable: bool) -> list[int]:
        """The numbers of requests on all connections, when the first one answers once and is then lost with the next request."""

        def serve(connection: Connection) -> None:
            if connection is server.connections[0] and len(connection.requests) == 2:
                how(connection)
            else:
                connection.transport.write(answer({}))

        server = await self.start(serve)
        await self.result()
        with contextlib.suppress(InnerApiError):
            await (await self.api.ask("p", bytes(1 << 20), TRACE, repeatable=repeatable)).result()
        return [len(connection.requests) for connection in server.connections]

    async def test_kept_and_lost(self) -> None:
        """A request that changes nothing survives the loss of a kept connection: another one gets it, all of it."""
        for how in (lambda connection: connection.transport.abortConnection(), lambda connection: connection.transport.loseConnection()):
            self.assertEqual(await self.lose_second(how, repeatable=True), [2, 1])

    async def test_not_asked_twice(self) -> None:
        """Nothing is repeated that may have changed something, or that Dify has begun to answer, or where the connection was a new one."""
        for how in (
            lambda connection: connection.transport.abortConnection(),
            lambda connection: connection.transport.loseConnection(),
        ):
            self.assertEqual(await self.lose_second(how, repeatable=False), [2])
        self.assertEqual(await self.lose_second(begin_and_close, repeatable=True), [2])
        server = await self.start(lambda connection: connection.transport.abortConnection())
        with self.assertRaises(InnerApiError):
            await self.api.ask("p", b"{}", TRACE, repeatable=True)
        self.assertEqual(len(server.connections), 1)

    async def test_not_sent(self) -> None:
        """A request that was never sent whole was not understood, whatever it is: another connection gets it."""

        def serve(connection: Connection) -> None:
            connection.transport.write(answer({}))
            if connection is server.connections[0]:
                connection.dataReceived = lambda _: connection.transport.abortConnection()  # type: ignore[method-assign]

        server = await self.start(serve)
        await self.result()
        self.assertEqual(await self.result(bytes(30 << 20)), {})
        self.assertEqual([len(connection.requests) for connection in server.connections], [1, 1])

    async def test_kept_and_talking(self) -> None:
        """A kept connection on which Dify has said something unasked, such as that it waits no longer, is not used."""
        server = await self.start(lambda connection: connection.transport.write(answer({})))
        await self.result()
        server.connections[0].transport.getHandle().send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertEqual(await self.result(), {})
        self.assertEqual([len(connection.requests) for connection in server.connections], [1, 1])

    async def test_early_answer(self) -> None:
        """A Dify that answers and does not read the request is heard, and the connection with the rest of it is not held for ever."""

        def refuse(connection: Connection) -> None:
            connection.transport.pauseProducing()
            connection.transport.write(answer(b"too large").replace(b"200 OK", b"413 Too Large", 1))

        server = await self.start(lambda _: None, connected=refuse)
        text = "request failed with status code: 413 and respond with: too large"
        self.assertEqual(await self.failure(bytes(30 << 20)), text)
        server.connections[0].transport.resumeProducing()
        await server.connections[0].lost

    async def test_no_http(self) -> None:
        """What is no HTTP is an error, not a hang."""
        for words in (b"220 mail.example.org ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"):
            await self.start(lambda connection, words=words: connection.transport.write(words))
            self.assertEqual(await self.failure(), "what Dify answered is no HTTP that can be read")

    async def test_compressed(self) -> None:
        """What comes compressed is read as if it had come plain, wherever it was cut, also in several members, or empty."""
        plain = b'{"data":{"a":"' + bytes(range(48, 80)) * 10_000 + b'"},"error":""}'
        for body in (gzip.compress(plain), gzip.compress(plain[:10]) + gzip.compress(plain[10:])):
            for coding in (b"gzip", b"X-GZIP"):

                def serve(connection: Connection, body: bytes = body, coding: bytes = coding) -> None:
                    connection.transport.write(HEAD.replace(b"\r\n", b"\r\nContent-Encoding: " + coding + b"\r\n", 1))
                    for at in range(0, len(body), 7):
                        connection.transport.write(piece(body[at : at + 7]))
                    connection.transport.write(piece(b""))

                server = await self.start(serve)
                self.assertEqual(len((await self.result())["a"]), 320_000)
                self.assertIn(b"accept-encoding: gzip", server.connections[0].requests[0].lower())
                await self.turn()
        await self.start(lambda connection: connection.transport.write(answer(b"", b"Content-Encoding: gzip")))
        self.assertEqual(await self.frames(), ([], ""))
        await self.turn()

    async def test_badly_compressed(self) -> None:
        """Half of a compressed stream is no stream, and what is no gzip is not nothing; what could be read is delivered."""
        whole = gzip.compress(frame(1) + frame(2))
        for body, count, text in (
            (b"no gzip at all", 0, "Error -3 while decompressing data: incorrect header check"),
            (whole[:-8], 2, "it is cut off"),
            (whole[:-1], 2, "it is cut off"),
            (gzip.compress(frame(1)) + whole[:5], 1, "it is cut off"),
            (whole[:-8] + bytes(8), 0, "Error -3 while decompressing data: incorrect data check"),
        ):
            await self.start(lambda connection, body=body: connection.transport.write(answer(body, b"Content-Encoding: gzip")))
            frames, error = await self.frames()
            self.assertEqual((len(frames), error), (count, f"the answer cannot be unzipped: {text}"))
            await self.turn()

    async def frames(self) -> tuple[list[bytes], str]:
        """The frames of an answer, and how it failed."""
        found: list[bytes] = []
        error = ""
        try:
            await (await self.api.ask("p", b"{}", TRACE)).frames(found.extend, lambda _: Channel().room())
        except InnerApiError as why:
            error = str(why)
        return found, error

    async def test_does_not_read(self) -> None:
        """A Dify that does not take a big request in is given up after the time for writing."""
        await self.start(lambda _: None, connected=lambda connection: connection.transport.pauseProducing())
        self.use(self.api.base, Limits(read=30, write=0.3, frame=1))
        self.assertEqual(await self.failure(bytes(30 << 20)), "Dify did not take the request within 0.3 s")

    async def test_cancelled(self) -> None:
        """Whoever gives up closes the connection, before the answer and within it."""
        for begun in (b"", HEAD + piece(frame(1))):
            asked: Deferred[Connection] = Deferred()

            def hear(connection: Connection, begun: bytes = begun, asked: Deferred[Connection] = asked) -> None:
                connection.transport.write(begun)
                asked.callback(connection)

            await self.start(hear)
            waiting = Deferred.fromCoroutine(self.result())
            connection = await asked
            await self.turn()
            waiting.cancel()
            with self.assertRaises(CancelledError):
                await waiting
            await connection.lost

    async def test_slow_reader(self) -> None:
        """
        A plugin that does not read holds up the answer that is for it, and nothing else.

        What Dify sends waits in Dify; nothing is lost, and nothing is left at the end.
        """
        floods: list[Flood] = []

        def serve(connection: Connection) -> None:
            if b"/invoke/llm " not in connection.requests[-1]:
                connection.transport.write(answer({"summary": "s"}))
                return
            connection.transport.write(HEAD)
            floods.append(Flood(connection, 3000))
            connection.transport.registerProducer(floods[-1], True)
            floods[-1].resumeProducing()

        await self.start(serve)
        callbacks = self.callbacks()
        slow, quick = Channel(full=True), Channel()
        slow_call, quick_call = call(), call()
        callbacks.invoke(slow_call, slow, message("llm", LLM))
        for _ in range(20):
            done: Deferred[None] = Deferred()
            quick.on_send = lambda done=done: done.callback(None)  # type: ignore[misc]
            callbacks.invoke(quick_call, quick, message("system_summary", {"text": "t"}))
            await done
        (flood,) = floods
        self.assertEqual([event for event, _ in quick.events], ["response", "end"] * 20)
        self.assertLess(len(b"".join(slow.writes)), 1 << 20)
        self.assertLess(flood.sent, 2000)
        over: Deferred[None] = Deferred()

        def sent() -> None:
            if b'"event":"end"' in slow.writes[-1]:
                over.callback(None)

        slow.on_send = sent
        slow.drain()
        await over
        await self.turn()
        contents = [data["delta"]["message"]["content"].split()[0] for event, data in slow.events if event == "response"]
        self.assertEqual(contents, [str(number) for number in range(3000)])
        self.assertEqual(len(callbacks), 0)

    async def test_session_ends(self) -> None:
        """When a session is over, its connection to Dify is closed, also while the plugin does not read."""
        for full in (False, True):
            begun: Deferred[Connection] = Deferred()

            def serve(connection: Connection, begun: Deferred[Connection] = begun) -> None:
                connection.transport.write(HEAD + piece(frame(chunk())))
                begun.callback(connection)

            await self.start(serve)
            callbacks, caller, channel = self.callbacks(), call(), Channel(full=full)
            arrived: Deferred[None] = Deferred()
            channel.on_send = lambda arrived=arrived: arrived.callback(None)  # type: ignore[misc]
            callbacks.invoke(caller, channel, message("llm", LLM))
            connection = await begun
            await arrived
            callbacks.close(caller)
            await connection.lost
            self.assertEqual((len(callbacks), len(channel.waiting), len(channel.writes)), (0, 0, 1))
