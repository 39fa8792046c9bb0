"""A request as the bytes that plugins get."""

from urllib.parse import parse_qsl, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.wire.rawhttp import raw_request, target

HEADERS = [(b"host", b"hooks.example.org"), (b"accept", b"*/*"), (b"user-agent", b"curl/8.5.0")]


def request(method: bytes = b"GET", headers: list[tuple[bytes, bytes]] = HEADERS, body: bytes = b"", path: bytes = b"/a") -> list[bytes]:
    return raw_request(method, path, None, headers, body, "q7w8e9r0t1y2u3i4").split(b"\r\n")


class TargetTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """Encoded again, keys sorted (http-api 11.2)."""
        for path, query, expected in (
            (b"/", None, b"/"), (b"/a b", None, b"/a%20b"), (b"//a/b", None, b"//a/b"), (b"/\xc3\xa4", None, b"/%C3%A4"),
            (b"/%41", None, b"/%2541"),
            (b"/a", b"", b"/a?"), (b"/a", b"b=2&a=1&b=1", b"/a?a=1&b=2&b=1"), (b"/a", b"flag", b"/a?flag="),
            (b"/a", b"x=%26%3D%2B&y=a+b&z=a%20b", b"/a?x=%26%3D%2B&y=a+b&z=a+b"), (b"/a!b", None, b"/a%21b"),
        ):  # fmt: skip
            self.assertEqual(target(path, query), expected)

    @given(st.binary(max_size=20), st.binary(max_size=20))
    def test_any_bytes(self, path: bytes, query: bytes) -> None:
        """Whatever is asked for, the target stays on its line and means the same."""
        made = target(b"/" + path, query)
        self.assertFalse(set(made) & set(b" \r\n"))
        self.assertEqual(unquote_to_bytes(made.partition(b"?")[0]), b"/" + path)
        self.assertEqual(sorted(form(made.partition(b"?")[2])), sorted(form(query)))


def form(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")


class RequestTests(SynchronousTestCase):
    def test_example(self) -> None:
        """The example of the chapter, byte for byte."""
        made = raw_request(b"POST", b"/ping", b"b=2&a=1", [*HEADERS, (b"content-length", b"2")], b"hi", "q7w8e9r0t1y2u3i4")
        self.assertEqual(made, (
            b"POST /ping?a=1&b=2 HTTP/1.1\r\nHost: hooks.example.org\r\nUser-Agent: curl/8.5.0\r\nContent-Length: 2\r\nAccept: */*\r\n"
            b"Dify-Hook-Id: q7w8e9r0t1y2u3i4\r\nDify-Hook-Url: http://hooks.example.org/e/q7w8e9r0t1y2u3i4/ping\r\n\r\nhi"
        ))  # fmt: skip

    def test_headers(self) -> None:
        """What tells about the way here, framing, and names that the SDK refuses are left out; repetitions stay, in canonical form."""
        sent = [
            (b"x-real-ip", b"1"),
            (b"transfer-encoding", b"chunked"),
            (b"x_under", b"1"),
            (b"x-two", b"1"),
            (b"x-two", b"2"),
            (b"dify-hook-id", b"x"),
        ]
        lines = request(headers=[*HEADERS, *sent])
        self.assertEqual(lines[3:-2], [b"Accept: */*", b"Dify-Hook-Id: q7w8e9r0t1y2u3i4",
                                       b"Dify-Hook-Url: http://hooks.example.org/e/q7w8e9r0t1y2u3i4/a", b"X-Two: 1", b"X-Two: 2"])  # fmt: skip

    def test_no_utf8(self) -> None:
        """The SDK refuses a head that is no UTF-8: values are taken for Latin-1, and a path stays encoded in the URL of the hook."""
        lines = request(headers=[*HEADERS, (b"x-a", b"caf\xe9"), (b"x-b", "café".encode())], path=b"/\xff b")
        self.assertEqual(lines[0], b"GET /%FF%20b HTTP/1.1")
        self.assertEqual(
            lines[-5:-2], [b"Dify-Hook-Url: http://hooks.example.org/e/q7w8e9r0t1y2u3i4/%FF%20b", *(b"X-%c: caf\xc3\xa9" % c for c in b"AB")]
        )

    def test_about_the_connection(self) -> None:
        """What a caller said about its connection is kept, as the reference keeps it; only the framing is ours."""
        said = [(b"connection", b"close"), (b"expect", b"100-continue"), (b"te", b"trailers"), (b"upgrade", b"x")]
        lines = request(headers=[*HEADERS, *said])
        self.assertEqual([line for line in lines if line.lower().startswith((b"co", b"ex", b"te", b"up"))],
                         [b"Connection: close", b"Expect: 100-continue", b"Te: trailers", b"Upgrade: x"])  # fmt: skip

    def test_one_content_type(self) -> None:
        """Of two content types, which the SDK refuses, the first counts."""
        lines = request(headers=[*HEADERS, (b"content-type", b"a/b"), (b"Content-Type", b"c/d")])
        self.assertEqual([line for line in lines if b"Type" in line], [b"Content-Type: a/b"])

    def test_hook_url(self) -> None:
        """The proxy's word counts; else scheme and host are what it forwarded, the path decoded, never with a line break."""
        given_url = [*HEADERS, (b"dify-hook-url", b"https://public.example.org/x")]
        self.assertIn(b"Dify-Hook-Url: https://public.example.org/x", request(headers=given_url))
        forwarded = [*HEADERS, (b"x-forwarded-proto", b"https"), (b"x-original-host", b"first.example.org")]
        self.assertIn(b"Dify-Hook-Url: https://first.example.org/e/q7w8e9r0t1y2u3i4/a bX: 1", request(headers=forwarded, path=b"/a b\r\nX: 1"))
        self.assertIn(b"Host: first.example.org", request(headers=forwarded))

    def test_empty_body(self) -> None:
        """POST and PUT announce an empty body, others none."""
        self.assertIn(b"Content-Length: 0", request(b"POST"))
        self.assertFalse([line for line in request(b"DELETE") if line.startswith(b"Content-Length")])
