"""Connections: which bytes are whose request, what is refused by the head, what becomes of the connection."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.web.channel import HEAD_LIMIT, LINGER, LINGER_BYTES, SWALLOWED
from tests.web.cable import KEY, LIMIT, SAY, TENANT, WAIT, Cable, Parrot, get, guarded, parts, post, site_of, status

CHUNKED = f"POST {SAY} HTTP/1.1\r\nHost: h\r\nX-Api-Key: {KEY.decode()}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

OK = b"HTTP/1.1 200 OK\r\n"


class Requests(SynchronousTestCase):
    """Bytes become requests."""

    def setUp(self) -> None:
        self.parrot = Parrot()
        self.clock = Clock()
        self.site = site_of(guarded(self.parrot), clock=self.clock)
        self.cable = Cable(self.site)

    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
    def test_any_segmentation(self, bodies: list[bytes], data: st.DataObject) -> None:
        """Requests come out as they went in, wherever the stream was cut, with lengths and in chunks."""
        parrot = Parrot()
        cable = Cable(site_of(guarded(parrot)))
        stream = b""
        for body in bodies:
            if data.draw(st.booleans()):
                stream += post(SAY, body)
            else:
                stream += CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
        answers = cable.send(*(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)))
        self.assertEqual(parrot.seen, [(TENANT, body) for body in bodies])
        said = sum(body.count(OK) for body in bodies)  # a body is repeated in its answer, and may be anything
        self.assertEqual(answers.count(OK) - said, len(bodies))

    def test_many_in_one_segment(self) -> None:
        """A thousand requests in one segment are answered without a deep stack."""
        self.assertEqual(self.cable.send(post(SAY, b"x") * 1000).count(b"HTTP/1.1 200"), 1000)

    def test_one_after_the_other(self) -> None:
        """A request that was sent ahead waits until the one before it is answered, and answers keep their order."""
        self.assertEqual(self.cable.send(post(WAIT) + post(SAY, b"second")), b"")
        self.assertEqual(self.parrot.seen, [])
        self.parrot.open[0].callback(b"first")
        answers = self.cable.read()
        self.assertLess(answers.index(b"first"), answers.index(b"second"))

    def test_no_head(self) -> None:
        """Who speaks TLS, or ends lines with LF alone, hears so at once, and not after a megabyte."""
        for start in ([b"\x16\x03\x01\x02\x00"], [b"GET /open HTTP/1.1\nHost: h\n\n"], [b"GET /open HTTP/1.1\r\nHost: h\r\nA: b", b"\n"]):
            cable = Cable(self.site)
            self.assertEqual(status(cable.send(*start)), 400)
        cable = Cable(self.site)
        self.assertEqual(status(cable.send(*(bytes([byte]) for byte in get("/open")))), 200)

    def test_line_end_before_a_request(self) -> None:
        """The superfluous line end that some clients send behind a body is not part of the next request."""
        self.assertEqual(self.cable.send(post(SAY, b"a") + b"\r\n" + post(SAY, b"b")).count(b"HTTP/1.1 200"), 2)

    def test_kept(self) -> None:
        """HTTP/1.1 keeps the connection, also after refusals."""
        for request in (post(SAY, b"x"), post("/nowhere", b"x"), post(SAY, b"x", key=None), get("/open"), post(SAY, b"y")):
            self.cable.send(request)
            self.assertFalse(self.cable.socket.disconnecting)

    def test_closed_when_asked(self) -> None:
        """`Connection: close`, in whatever company it stands, closes after the answer, and the answer says so."""
        _, headers, body = parts(self.cable.send(post(SAY, b"x", "Connection: TE, Close")))
        self.assertEqual((headers[b"connection"], body), (b"close", b"x"))
        self.assertTrue(self.cable.socket.disconnecting)

    def test_http_1_0(self) -> None:
        """A client of HTTP/1.0 is answered in its version, and the connection ends with the answer."""
        answer = self.cable.send(post(SAY, b"x", version="1.0"))
        self.assertTrue(answer.startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertTrue(self.cable.socket.disconnecting)

    def test_expect(self) -> None:
        """A client that asks before it sends its body is told to go on."""
        head, _, body = post(SAY, b"hello", "Expect: 100-Continue").partition(b"\r\n\r\n")
        self.assertEqual(self.cable.send(head + b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(status(self.cable.send(body)), 200)

    def test_disconnect_during_the_call(self) -> None:
        """When the client goes away its handler is cancelled; nothing is written any more."""
        self.cable.send(post(WAIT))
        self.cable.hang_up()
        self.assertEqual((self.parrot.gone, self.cable.read()), ([TENANT], b""))

    def test_disconnect_in_the_body(self) -> None:
        """A request whose client goes away before its body is complete reaches no handler."""
        self.cable.send(post(SAY, b"x" * 100)[:-1])
        self.cable.hang_up()
        self.assertEqual(self.parrot.seen, [])

    def test_reading_is_bounded_during_a_call(self) -> None:
        """While a call is open, a client that sends on is not read from for ever."""
        self.cable.send(post(WAIT), b"x" * 100_000)
        self.assertEqual(self.cable.socket.producerState, "paused")


class Malformed(SynchronousTestCase):
    """Bytes that are no requests."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.parrot = Parrot()
        self.cable = Cable(site_of(guarded(self.parrot), clock=self.clock))

    def test_no_http(self) -> None:
        """What is no HTTP is answered with 400, then the connection is closed for writing and nothing is read any more."""
        answer = self.cable.send(b"\x16\x03\x01 hello\r\n\r\n", post(SAY, b"x"))
        self.assertEqual((status(answer), self.cable.socket.half_closed, self.parrot.seen), (400, True, []))

    def test_head_too_long(self) -> None:
        """A head beyond 1 MiB is 431, whether or not it has an end."""
        self.assertEqual(status(self.cable.send(b"GET / HTTP/1.1\r\nA: ", *[b"a" * 65536] * 17)), 431)
        other = Cable(self.cable.site)
        self.assertEqual(status(other.send(b"GET / HTTP/1.1\r\nA: " + b"a" * HEAD_LIMIT + b"\r\n\r\n")), 431)

    def test_long_head(self) -> None:
        """A head of almost 1 MiB is fine."""
        self.assertEqual(status(self.cable.send(get("/open", "A: " + "a" * (HEAD_LIMIT - 200)))), 200)

    def test_bad_chunk(self) -> None:
        """Chunks without a size are 400; the request reaches no handler."""
        self.assertEqual(status(self.cable.send(CHUNKED + b"zz\r\nx\r\n")), 400)
        self.assertEqual(self.parrot.seen, [])
        self.cable.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Refusals(SynchronousTestCase):
    """What the head says is answered before the body is taken in."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.parrot = Parrot()
        self.site = site_of(guarded(self.parrot), clock=self.clock)
        self.cable = Cable(self.site)

    def refused(self, request: bytes) -> int:
        head, _, body = request.partition(b"\r\n\r\n")
        answer = self.cable.send(head + b"\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(self.cable.socket.half_closed)
        self.assertEqual(self.cable.send(body), b"")
        self.assertEqual(self.parrot.seen, [])
        return status(answer)

    def test_without_key(self) -> None:
        """A large body without the right key is not waited for: 401 at once."""
        self.assertEqual(self.refused(post(SAY, b"x" * (SWALLOWED + 1), key=b"wrong")), 401)

    def test_unknown_route(self) -> None:
        """Nor is one for a route that there is not: 404."""
        self.assertEqual(self.refused(post("/nowhere", b"x" * (SWALLOWED + 1))), 404)

    def test_too_large(self) -> None:
        """Nor is one that announces more than its route takes: 413, in an envelope."""
        self.assertEqual(self.refused(post(SAY, b"x" * (LIMIT + 1))), 413)

    def test_asking_first(self) -> None:
        """A client that asks before it sends gets the refusal instead of the go-ahead."""
        self.assertEqual(self.refused(post(SAY, b"x", "Expect: 100-continue", key=None)), 401)

    def test_chunked_without_key(self) -> None:
        """A body of unknown length is not waited for either."""
        self.assertEqual(status(self.cable.send(CHUNKED.replace(KEY, b"wrong"))), 401)
        self.assertTrue(self.cable.socket.half_closed)

    def test_chunks_beyond_the_limit(self) -> None:
        """A body in chunks is refused when it has become too large, once, and its end does not make a request of it."""
        chunk = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
        answer = self.cable.send(CHUNKED, chunk, chunk + b"0\r\n\r\n", post(SAY, b"after"))
        self.assertEqual((status(answer), answer.count(b"HTTP/1.1"), self.parrot.seen), (413, 1, []))

    def test_limit_exactly(self) -> None:
        """A body of exactly the limit is taken."""
        self.cable.send(post(SAY, b"x" * LIMIT))
        self.assertEqual([len(body) for _, body in self.parrot.seen], [LIMIT])

    def test_small_body_is_swallowed(self) -> None:
        """A small refused body is thrown away and the connection lives on."""
        answer = self.cable.send(post(SAY, b"x" * SWALLOWED, key=None), post(SAY, b"y"))
        self.assertEqual((status(answer), answer.count(b"HTTP/1.1 200"), self.parrot.seen), (401, 1, [(TENANT, b"y")]))
        self.assertFalse(self.cable.socket.disconnecting)

    def test_patience_ends(self) -> None:
        """A refused client has ten seconds to stop sending."""
        self.refused(post(SAY, b"x" * (SWALLOWED + 1), key=None))
        self.clock.advance(LINGER - 0.1)
        self.assertFalse(self.cable.socket.disconnected)
        self.clock.advance(0.2)
        self.assertTrue(self.cable.socket.disconnected)

    def test_patience_has_a_size(self) -> None:
        """And may not send for ever in that time."""
        self.refused(post(SAY, b"x" * (SWALLOWED + 1), key=None))
        piece = bytes(1024 * 1024)
        for _ in range(LINGER_BYTES // len(piece)):
            self.cable.channel.dataReceived(piece)
        self.assertTrue(self.cable.socket.disconnected)

    def test_hanging_up(self) -> None:
        """A refused client that goes away leaves no timer."""
        self.refused(post(SAY, b"x" * (SWALLOWED + 1), key=None))
        self.cable.hang_up()
        self.assertEqual((self.clock.getDelayedCalls(), self.site.channels), ([], set()))
