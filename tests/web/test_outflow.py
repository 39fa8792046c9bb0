"""Bytes to a client that reads slowly."""

from attrs import define, field
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import ClientTooSlow
from difyd.web.outflow import PORTION, Outflow


@define(eq=False)
class Socket:
    """What an outflow asks of a request; full as soon as it holds more than 64 KiB, as sockets of Twisted are."""

    producer: IPushProducer | None = None
    held: list[bytes] = field(factory=list)
    over: bool = False

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.held.append(data)
        if sum(map(len, self.held)) > 65536 and self.producer is not None:
            self.producer.pauseProducing()

    def finish(self) -> None:
        self.over = True

    def drain(self) -> bytes:
        """The client has read all."""
        data, self.held = b"".join(self.held), []
        if self.producer is not None:
            self.producer.resumeProducing()
        return data


class OutflowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket = Socket()
        self.out = Outflow(self.socket, 4 * PORTION)  # type: ignore[arg-type]
        self.out.open()

    def test_in_order(self) -> None:
        """All arrives in its order, and the end after it, however often the socket is full."""
        pieces = [b"%d," % n * (n * 7 % 5000) for n in range(300)]
        got = b""
        for n, piece in enumerate(pieces):
            self.out.write(piece)
            if n % 70 == 0:
                got += self.socket.drain()
        self.out.close()
        self.assertFalse(self.socket.over)
        while not self.socket.over:
            got += self.socket.drain()
        self.assertEqual(got + self.socket.drain(), b"".join(pieces))

    def test_in_portions(self) -> None:
        """What waits is handed to the socket as it has room, so that all the rest counts against the limit."""
        piece = b"x" * 65537
        for _ in range(16):
            self.out.write(piece)
        self.socket.drain()
        self.assertLessEqual(sum(map(len, self.socket.held)), PORTION)
        with self.assertRaises(ClientTooSlow):
            for _ in range(16):
                self.out.write(piece)

    def test_large_piece(self) -> None:
        """A piece beyond a portion goes out alone."""
        for piece in (b"a" * 70_000, b"b" * (2 * PORTION), b"c"):
            self.out.write(piece)
        self.assertEqual([len(self.socket.drain()) for _ in range(3)], [70_000, 2 * PORTION, 1])

    def test_last_words(self) -> None:
        """The word that says why an answer ends goes beyond the limit."""
        self.out.write(b"x" * 70_000)
        self.out.write(b"y" * 4 * PORTION)
        self.assertRaises(ClientTooSlow, self.out.write, b"z")
        self.out.last(b"why")
        self.out.close()
        self.socket.drain()
        self.socket.drain()
        self.assertEqual((self.socket.drain(), self.socket.over), (b"why", True))
