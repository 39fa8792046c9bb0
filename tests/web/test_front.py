"""Handlers at work, on twisted.web's own requests as well as on ours."""

import treq.testing
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.errors import BadRequest, PluginNotFound
from difyd.telemetry.metrics import NoMetrics
from difyd.web.envelope import InvalidRequest
from difyd.web.front import Front
from difyd.web.request import Request
from difyd.web.routes import Group, Routes
from difyd.web.traffic import Traffic
from tests.web.cable import Cable, get, parts, post, site_of, status


@implementer(IPushProducer)
class Slow:
    """Finishes the answer later, as a stream does whose client is slow."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def end(self) -> None:
        self.request.write(b"late")
        self.request.unregisterProducer()
        self.request.finish()

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class Handlers:
    """One of every kind."""

    app = Klein()

    def __init__(self) -> None:
        self.slow: Slow | None = None
        self.waiting: Deferred[bytes | None] = Deferred()
        self.cleaned: list[str] = []

    @app.route("/bytes", methods=["GET"])
    async def whole(self, request: Request) -> bytes:
        return b'{"a":1}'

    @app.route("/plain", methods=["GET"])
    def plain(self, request: Request) -> bytes:
        request.setResponseCode(202)
        return b"1"

    @app.route("/written", methods=["GET"])
    async def written(self, request: Request) -> None:
        request.write(b"written")

    @app.route("/slow", methods=["GET"])
    async def producing(self, request: Request) -> None:
        self.slow = Slow(request)
        request.registerProducer(self.slow, True)

    @app.route("/wait", methods=["GET"])
    async def wait(self, request: Request) -> bytes | None:
        try:
            return await self.waiting
        finally:
            self.cleaned.append("cleaned")

    @app.route("/bad", methods=["GET"])
    async def bad(self, request: Request) -> bytes:
        raise BadRequest("no")

    @app.route("/unbound", methods=["GET"])
    async def unbound(self, request: Request) -> bytes:
        raise InvalidRequest("no")

    @app.route("/missing", methods=["GET"])
    async def missing(self, request: Request) -> bytes:
        raise PluginNotFound

    @app.route("/bug", methods=["GET"])
    async def bug(self, request: Request) -> bytes:
        raise ZeroDivisionError("inside")

    @app.route("/nonsense", methods=["GET"])
    async def nonsense(self, request: Request) -> int:
        return 7

    @app.route("/half", methods=["GET"])
    async def half(self, request: Request) -> bytes:
        request.write(b"half")
        raise BadRequest("too late")

    @app.route("/echo", methods=["POST"])
    async def echo(self, request: Request) -> bytes:
        body: bytes = request.content.read()
        return body


class FrontTests(SynchronousTestCase):
    """On our site."""

    def setUp(self) -> None:
        self.handlers = Handlers()
        self.cable = Cable(site_of(Group(self.handlers)))

    def test_bytes(self) -> None:
        """What a handler returns is the whole body, JSON unless it says otherwise, with its length."""
        code, headers, body = parts(self.cable.send(get("/bytes")))
        self.assertEqual((code, body, headers[b"content-length"]), (200, b'{"a":1}', b"7"))
        self.assertEqual(headers[b"content-type"], b"application/json; charset=utf-8")

    def test_status_of_the_handler(self) -> None:
        """A handler may choose the status; it need not be a coroutine."""
        self.assertEqual(status(self.cable.send(get("/plain"))), 202)

    def test_written(self) -> None:
        """An answer that a handler wrote is finished for it."""
        self.assertTrue(self.cable.send(get("/written")).endswith(b"7\r\nwritten\r\n0\r\n\r\n"))

    def test_finished_by_its_producer(self) -> None:
        """Unless it left a producer behind: then that one finishes it, however much later."""
        self.assertEqual(self.cable.send(get("/slow")), b"")
        assert self.handlers.slow is not None
        self.handlers.slow.end()
        self.assertTrue(self.cable.read().endswith(b"4\r\nlate\r\n0\r\n\r\n"))

    def test_cancelled(self) -> None:
        """A client that goes away cancels its handler, which may clean up."""
        self.cable.send(get("/wait"))
        self.cable.hang_up()
        self.assertEqual(self.handlers.cleaned, ["cleaned"])

    def test_failing_after_a_disconnect(self) -> None:
        """What goes wrong after the client has gone is logged; there is nobody else to tell."""
        self.handlers.waiting = Deferred(lambda d: d.errback(ZeroDivisionError()))
        self.cable.send(get("/wait"))
        self.cable.hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_late_result(self) -> None:
        """A handler that answers later answers as well; nothing is written for one that was cancelled."""
        self.cable.send(get("/wait"))
        self.handlers.waiting.callback(b"{}")
        self.assertEqual(status(self.cable.read()), 200)

    def test_errors(self) -> None:
        """What a handler raises becomes an envelope with the status of its class."""
        self.assertEqual([status(self.cable.send(get(path))) for path in ("/bad", "/unbound", "/missing")], [400, 400, 404])

    def test_errors_of_management(self) -> None:
        """In groups whose clients look at the body only after a 200, errors have that status, except what does not bind (http-api 13)."""
        cable = Cable(site_of(Group(self.handlers, always_ok=True)))
        self.assertEqual([status(cable.send(get(path))) for path in ("/bad", "/unbound", "/missing")], [200, 400, 200])

    def test_bugs(self) -> None:
        """What is no error of ours is a logged, neutral 500 everywhere."""
        for cable in (self.cable, Cable(site_of(Group(self.handlers, always_ok=True)))):
            code, _, body = parts(cable.send(get("/bug")))
            self.assertEqual((code, b"inside" in body), (500, False))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_nonsense(self) -> None:
        """A handler that returns something else is a bug as well."""
        self.assertEqual(status(self.cable.send(get("/nonsense"))), 500)
        self.flushLoggedErrors(TypeError)

    def test_half_an_answer(self) -> None:
        """After the first bytes an error can only cut the connection: the chunks have no end."""
        self.assertTrue(self.cable.send(get("/half")).endswith(b"4\r\nhalf\r\n"))
        self.assertTrue(self.cable.socket.disconnecting)


class OnTwisted(SynchronousTestCase):
    """The same resource on twisted.web's site, as tests of single groups use it."""

    def setUp(self) -> None:
        self.handlers = Handlers()
        self.client = treq.testing.StubTreq(Front(Routes.of([Group(self.handlers)]), Traffic(NoMetrics())))

    def test_answers(self) -> None:
        """Answers, errors and unknown routes are the same there."""
        for path, code in (("/bytes", 200), ("/bad", 400), ("/nothing", 404)):
            response = self.successResultOf(self.client.get(f"http://h{path}"))
            self.assertEqual(response.code, code)
            self.assertEqual(response.headers.getRawHeaders("content-type"), ["application/json; charset=utf-8"])

    def test_body(self) -> None:
        """And bodies arrive."""
        response = self.successResultOf(self.client.post("http://h/echo", data=b"hello"))
        self.assertEqual(self.successResultOf(self.client.content(response)), b"hello")


class Draining(SynchronousTestCase):
    """The daemon is about to end."""

    def setUp(self) -> None:
        self.handlers = Handlers()
        self.traffic = Traffic(NoMetrics())

    def test_refused(self) -> None:
        """New calls are refused with 503 in an envelope; one that is open goes on."""
        cable, other = (Cable(site_of(Group(self.handlers), traffic=self.traffic)) for _ in range(2))
        cable.send(get("/wait"))
        self.traffic.close()
        code, _, body = parts(other.send(post("/echo", b"x")))
        self.assertEqual((code, b"shutting down" in body), (503, True))
        self.handlers.waiting.callback(b"{}")
        self.assertEqual(status(cable.read()), 200)

    def test_open_to_the_end(self) -> None:
        """Health and metrics answer until the port is closed."""
        cable = Cable(site_of(Group(self.handlers, open_to_the_end=True), traffic=self.traffic))
        self.traffic.close()
        self.assertEqual(status(cable.send(get("/bytes"))), 200)
