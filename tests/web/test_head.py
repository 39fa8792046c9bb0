"""Heads of requests: understood as twisted.web understands them."""

from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as TwistedRequest

from difyd.web.head import LONGEST_NAME, MOST_FIELDS, BadHead, Fields, Head, HeadReader

Understood = tuple[bytes, bytes, bytes, dict[bytes, list[bytes]], int | None]


def by_twisted(head: bytes) -> Understood | None:
    """What twisted.web makes of a head; None when it refuses it."""
    understood: list[Understood] = []

    class Recorded(TwistedRequest):
        def gotLength(self, length: int | None) -> None:
            channel: Any = self.channel
            fields = {name: list(values) for name, values in self.requestHeaders.getAllRawHeaders()}
            understood.append((channel._command, channel._path, channel._version, fields, length))
            super().gotLength(length)

        def process(self) -> None: ...

    channel = HTTPChannel()
    channel.requestFactory = Recorded
    channel.timeOut = None
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.dataReceived(head + b"\r\n\r\n")
    return understood[0] if understood and not transport.value().startswith(b"HTTP/1.1 400") else None


def by_us(head: bytes) -> Understood | None:
    try:
        read = HeadReader().read(head)
    except BadHead:
        return None
    return read.method, read.target, read.version, read.fields, read.length


METHODS = st.sampled_from([b"GET", b"POST", b"get", b"M-SEARCH", b"G(T", b""])
TARGETS = st.sampled_from([b"/", b"/a?b=c", b"*", b"/%FF//", b"/a b", b"", b"/\x00"])
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1 ", b"HTTP/2.0", b"http/1.1", b"HTTP/0.9", b""])
NAMES = st.sampled_from([b"X-Api-Key", b"x-api-key", b"Content-Length", b"content-length", b"DNT", b"a_b", b"", b"A ", b"\xc3\xa4"])
VALUES = st.one_of(
    st.sampled_from([b"0", b"5", b"+5", b"0x5", b" 7\t", b"5, 5", b"", b"a: b", b"\xff\x80", b"a\x00", b"a\rb", b"a\nb"]), st.binary(max_size=8)
)
FIELD = st.tuples(NAMES, st.sampled_from([b":", b": ", b"", b" :"]), VALUES).map(b"".join)
FIELDS = st.lists(FIELD.filter(lambda field: not field.startswith((b" ", b"\t"))), max_size=5)


class HeadReaderTests(SynchronousTestCase):
    @given(METHODS, TARGETS, VERSIONS, FIELDS)
    @example(b"POST", b"/", b"HTTP/1.1", [b"Content-Length: 5", b"Content-Length: 5"])
    @example(b"POST", b"/", b"HTTP/1.1", [b"Content-Length: 5", b"content-length: 6"])
    def test_as_twisted(self, method: bytes, target: bytes, version: bytes, fields: list[bytes]) -> None:
        """The same heads are accepted, with the same method, target, version, headers and length, apart from what is said of Host."""
        head = b"\r\n".join([b"%b %b %b" % (method, target, version), b"hOST: h", *fields])
        assume(b"\r\n\r\n" not in head and b"\r\n " not in head and b"\r\n\t" not in head and not head.endswith(b"\r\n"))
        self.assertEqual(by_us(head), by_twisted(head))

    @given(st.binary(max_size=200))
    @example(b"GET / HTTP/1.1\r\n\r")
    def test_any_bytes(self, head: bytes) -> None:
        """No bytes raise anything but BadHead."""
        read = by_us(head)
        self.assertTrue(read is None or read[2] in (b"HTTP/1.0", b"HTTP/1.1"))

    def refused(self, *fields: bytes, version: bytes = b"1.1") -> int:
        with self.assertRaises(BadHead) as caught:
            HeadReader().read(b"\r\n".join([b"POST / HTTP/" + version, b"Host: h", *fields]))
        return caught.exception.status

    def read(self, *fields: bytes) -> Head:
        return HeadReader().read(b"\r\n".join([b"POST / HTTP/1.1", b"Host: h", *fields]))

    def test_chunks(self) -> None:
        """A body in chunks has no length."""
        self.assertIsNone(self.read(b"Transfer-Encoding: Chunked").length)

    def test_smuggling(self) -> None:
        """What two readers could understand differently is refused (RFC 9112 6.1)."""
        self.refused(b"Transfer-Encoding: chunked", b"Content-Length: 5")
        self.refused(b"Transfer-Encoding: chunked, identity")
        self.refused(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
        self.refused(b"Transfer-Encoding: chunked", version=b"1.0")
        self.refused(b"Content-Length: " + b"9" * 5000)

    def test_host(self) -> None:
        """Whom a request is for is said once; HTTP/1.0 may leave it unsaid."""
        for head in (b"GET / HTTP/1.1\r\nA: b", b"GET / HTTP/1.1\r\nHost: a\r\nhost: a", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b"):
            with self.assertRaises(BadHead):
                HeadReader().read(head)
        self.assertEqual(HeadReader().read(b"GET / HTTP/1.0\r\nA: b").fields, {b"A": [b"b"]})

    def test_whole_url(self) -> None:
        """A target as for a proxy is its path; the host in it counts."""
        for target, path in ((b"http://a:8/e/x?b", b"/e/x?b"), (b"HTTPS://a:8", b"/"), (b"http://a:8?b=/c", b"/?b=/c")):
            head = HeadReader().read(b"GET %b HTTP/1.1\r\nHost: other" % target)
            self.assertEqual((head.target, head.fields), (path, {b"Host": [b"a:8"]}))
        self.assertEqual(HeadReader().read(b"GET http:/// HTTP/1.1\r\nHost: h").target, b"http:///")

    def test_folded(self) -> None:
        """A header that goes on in a second line is refused."""
        self.refused(b"A: b", b" c")

    def test_too_many(self) -> None:
        """More header lines than anybody needs are 431."""
        self.assertEqual(self.refused(*[b"A: b"] * (MOST_FIELDS + 1)), 431)

    def test_names_are_bounded(self) -> None:
        """A client that makes names up does not fill the memory."""
        reader = HeadReader()
        for number in range(3000):
            reader.read(b"GET / HTTP/1.0\r\nX-%d: y" % number)
        self.assertEqual(reader.read(b"GET / HTTP/1.0\r\nx-2999: y").fields, {b"X-2999": [b"y"]})
        self.assertLessEqual(len(reader._names), 1000)

    def test_long_name(self) -> None:
        """Names are kept for reuse, here and in twisted.web, so one of a megabyte is refused."""
        self.assertEqual(self.refused(b"X" * (LONGEST_NAME + 1) + b": y"), 431)
        self.assertEqual(self.read(b"X" * LONGEST_NAME + b": y").length, 0)

    def test_values_as_text(self) -> None:
        """Asked for as text, a value of any bytes comes out, and what is not there does not."""
        fields = Fields(self.read(b"X-A: \xff\xc3\xbc").fields)
        self.assertEqual((fields.getRawHeaders("x-a"), fields.getRawHeaders(b"X-A")), (["\ufffd\u00fc"], [b"\xff\xc3\xbc"]))
        self.assertEqual((fields.getRawHeaders("x-b"), fields.getRawHeaders("x-b", ["c"])), (None, ["c"]))

    def test_utf8_target(self) -> None:
        """A target in raw UTF-8 is taken."""
        self.assertEqual(HeadReader().read("GET /ü/日 HTTP/1.0".encode()).target, "/ü/日".encode())
