"""Answers: in few pieces, framed right for every client."""

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from difyd.web.request import JOINED, Request
from difyd.web.routes import Group, Mount
from difyd.web.site import begin_events
from tests.web.cable import Cable, Socket, get, parts, post, site_of, status

EVENT = b'data: {"code":0}\n\n'


class Answers:
    """Routes with answers of every kind."""

    app = Klein()

    def __init__(self) -> None:
        self.request: Request | None = None

    @app.route("/events", methods=["GET", "POST"])
    async def events(self, request: Request) -> None:
        begin_events(request)
        self.request = request
        await Deferred()

    @app.route("/none", methods=["GET"])
    async def none(self, request: Request) -> None:
        begin_events(request)

    @app.route("/nothing", methods=["GET"])
    async def nothing(self, request: Request) -> None:
        request.setResponseCode(204)

    @app.route("/pieces", methods=["GET"])
    async def pieces(self, request: Request) -> tuple[bytes, ...]:
        return b"[", b"x" * (JOINED + 1), b"]"

    @app.route("/text", methods=["GET"])
    async def text(self, request: Request) -> bytes:
        request.setHeader("Content-Type", "text/plain")
        request.setHeader("X-Two", "a\r\nSet-Cookie: b")
        return b"hello"


class Broken(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        if request.postpath == [b"late"]:
            request.write(b"half")
        raise ZeroDivisionError("a secret of the inside")


class Writes(Socket):
    """Keeps the writes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


class RequestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.answers = Answers()
        self.clock = Clock()
        self.clock.advance(784111777)  # Sun, 06 Nov 1994 08:49:37 GMT
        self.site = site_of(
            Group(self.answers), mounts=[Mount(b"/broken/", Broken(), frozenset((b"GET", b"POST")), "/broken/*path")], clock=self.clock
        )
        self.cable = Cable(self.site)

    def open(self, version: str = "1.1") -> Request:
        """A stream that has just begun."""
        self.cable.send(post("/events", version=version))
        assert self.answers.request is not None
        return self.answers.request

    def test_head_goes_out_with_the_first_event(self) -> None:
        """Nothing is sent before the first event; then head and event are one write, and every later event is one."""
        self.cable.socket = socket = Writes()
        self.cable.channel.transport = socket
        request = self.open()
        self.assertEqual(socket.writes, [])
        request.write(EVENT)
        request.write(EVENT)
        _, headers, body = parts(socket.writes[0])
        told = {b"date": b"Sun, 06 Nov 1994 08:49:37 GMT", b"content-type": b"text/event-stream", b"transfer-encoding": b"chunked"}
        self.assertEqual(headers, {name: value.lower() for name, value in told.items()})
        self.assertEqual([body, *socket.writes[1:]], [b"12\r\n" + EVENT + b"\r\n"] * 2)

    def test_large_write(self) -> None:
        """Many bytes at once are one chunk like any other."""
        request = self.open()
        request.write(EVENT)
        self.cable.read()
        request.write(b"x" * (JOINED + 1))
        self.assertEqual(self.cable.read(), b"8001\r\n" + b"x" * (JOINED + 1) + b"\r\n")

    def test_empty_write(self) -> None:
        """A write of nothing sends the head and is not taken for the end of the body."""
        request = self.open()
        request.write(b"")
        self.assertEqual(status(self.cable.read()), 200)
        request.write(b"")
        self.assertEqual(self.cable.read(), b"")

    def test_http_1_0(self) -> None:
        """For HTTP/1.0 the body ends with the connection."""
        request = self.open("1.0")
        request.write(EVENT)
        request.finish()
        _, headers, body = parts(self.cable.read())
        self.assertNotIn(b"transfer-encoding", headers)
        self.assertEqual((body, self.cable.socket.disconnecting), (EVENT, True))

    def test_stream_without_event(self) -> None:
        """A stream that ends before its first event is an empty body of the same type (http-api 5.1)."""
        _, headers, body = parts(self.cable.send(get("/none")))
        self.assertEqual((headers[b"content-length"], headers[b"content-type"], body), (b"0", b"text/event-stream", b""))
        self.assertEqual(status(self.cable.send(get("/text"))), 200)

    def test_no_content(self) -> None:
        """204 has neither a body nor a length."""
        code, headers, body = parts(self.cable.send(get("/nothing")))
        self.assertEqual((code, b"content-length" in headers, b"transfer-encoding" in headers, body), (204, False, False, b""))

    def test_head_request(self) -> None:
        """HEAD is answered like GET, without the body."""
        _, headers, body = parts(self.cable.send(get("/text").replace(b"GET", b"HEAD")))
        self.assertEqual((headers[b"content-length"], body), (b"5", b""))
        self.assertEqual(parts(self.cable.send(get("/text")))[2], b"hello")

    def test_pieces(self) -> None:
        """A long answer need not be joined; it is one body all the same."""
        _, headers, body = parts(self.cable.send(get("/pieces")))
        self.assertEqual((headers[b"content-length"], body), (b"%d" % (JOINED + 3), b"[" + b"x" * (JOINED + 1) + b"]"))
        self.assertEqual(parts(self.cable.send(get("/pieces").replace(b"GET", b"HEAD")))[2], b"")

    def test_headers_cannot_be_forged(self) -> None:
        """A value with a line end in it does not become a header of its own."""
        _, headers, _ = parts(self.cable.send(get("/text")))
        self.assertNotIn(b"set-cookie", headers)

    def test_date_is_made_once_a_second(self) -> None:
        """The date follows the clock."""
        self.clock.advance(60)
        self.assertEqual(parts(self.cable.send(get("/text")))[1][b"date"], b"Sun, 06 Nov 1994 08:50:37 GMT".lower())

    def test_date_of_the_handler(self) -> None:
        """A handler that passes on somebody's date has it stand alone."""
        request = self.open()
        request.setHeader("Date", "yesterday")
        request.write(EVENT)
        self.assertEqual(self.cable.read().count(b"Date: "), 1)

    def test_writing_after_a_disconnect(self) -> None:
        """When the client has gone, what is still written is dropped without a complaint."""
        request = self.open()
        self.cable.hang_up()
        request.write(EVENT)
        self.assertEqual(self.cable.read(), b"")

    def test_writing_after_the_end(self) -> None:
        """Writing to an answer that is complete is a bug, and says so."""
        request = self.open()
        request.finish()
        self.assertRaises(RuntimeError, request.write, b"x")

    def test_broken_resource(self) -> None:
        """A resource that raises is logged, and the client learns nothing about its inside."""
        code, _, body = parts(self.cable.send(get("/broken/early")))
        self.assertEqual((code, b"secret" in body, b"internal server error" in body), (500, False, True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_broken_in_the_middle(self) -> None:
        """When a part of the answer is out, the connection is cut: half an answer must not look whole."""
        self.assertTrue(self.cable.send(get("/broken/late")).endswith(b"4\r\nhalf\r\n"))
        self.assertTrue(self.cable.socket.disconnecting)
        self.flushLoggedErrors(ZeroDivisionError)
