"""
A request as text, the way plugins get it: hex of HTTP/1.1 bytes (http-api 11.2).

The SDK's parser is strict: one Content-Length that is right, one Content-Type, UTF-8, no header names with underscores. Everything else of the
caller's request is kept, in the canonical form and order that the reference writes.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote, quote_plus, unquote_to_bytes

Headers = Sequence[tuple[bytes, bytes]]

REMOVED: Final = frozenset(
    (
        b"x-forwarded-for",
        b"x-real-ip",
        b"x-forwarded",
        b"x-original-forwarded-for",
        b"x-original-url",
        b"x-original-host",
    )
)
"""What tells about the way here, not about the caller."""
_OURS: Final = frozenset((b"host", b"user-agent", b"content-length", b"transfer-encoding", b"dify-hook-id", b"dify-hook-url"))
_KEPT_IN_PATHS: Final = "/$&+,:;=@-._~"
"""What stands unescaped in a path that the reference has encoded again."""
DEFAULT_AGENT: Final = b"Go-http-client/1.1"
WITH_LENGTH: Final = (b"POST", b"PUT")
"""Methods whose empty body is announced."""


def target(path: bytes, query: bytes | None) -> bytes:
    """
    The request target: `path`, which is decoded, and `query` (as it came, None when there was no `?`), encoded again.

    `%2F` has become `/`, a blank is `%20`; query keys are sorted, the values of a key keep their order, `flag` becomes `flag=`.
    """
    encoded = quote(path, safe=_KEPT_IN_PATHS).encode()
    if query is None:
        return encoded
    pairs = sorted(_pairs(query), key=lambda pair: pair[0])
    return encoded + b"?" + b"&".join(quote_plus(key).encode() + b"=" + quote_plus(value).encode() for key, value in pairs)


def _pairs(query: bytes) -> Iterable[tuple[bytes, bytes]]:
    """As `urllib.parse.parse_qsl` does it for text; that refuses bytes beyond ASCII."""
    for pair in filter(None, query.split(b"&")):
        key, _, value = pair.replace(b"+", b" ").partition(b"=")
        yield unquote_to_bytes(key), unquote_to_bytes(value)


def canonical(name: bytes) -> bytes:
    """`x-foo-bar` -> `X-Foo-Bar`."""
    return b"-".join(part.capitalize() for part in name.split(b"-"))


def first(headers: Headers, name: bytes) -> bytes:
    """The first value of a header that is not empty, else b""; `name` in lower case."""
    return next((value for key, value in headers if key.lower() == name and value), b"")


def hook_url(host: bytes, hook: str, path: bytes, headers: Headers) -> bytes:
    """Where the caller found the hook: what the proxy in front says, else put together from the request. `path` is decoded."""
    given = first(headers, b"dify-hook-url")
    if given:
        return text(given)
    scheme = b"https" if first(headers, b"x-forwarded-proto") == b"https" else b"http"
    try:
        path.decode()
    except UnicodeDecodeError:
        path = target(path, None)
    return b"%b://%b/e/%b%b" % (scheme, host, hook.encode(), path.translate(None, b"\r\n\0"))  # a header has one line


def text(value: bytes) -> bytes:
    """The value of a header in UTF-8, which is all that the SDK reads; what is none is Latin-1, as in the HTTP of old."""
    if value.isascii():
        return value
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


def raw_request(method: bytes, path: bytes, query: bytes | None, headers: Headers, body: bytes, hook: str) -> bytes:
    """
    The bytes of a request to a hook, `path` being what follows `/e/<hook>`, decoded.

    `headers` are the caller's, in order, with repetitions, names in any case.
    """
    host = text(first(headers, b"x-original-host") or first(headers, b"host"))
    lines = [
        b"%b %b HTTP/1.1" % (method, target(path, query)),
        b"Host: " + host,
        b"User-Agent: " + (text(first(headers, b"user-agent")) or DEFAULT_AGENT),
    ]
    if body or method in WITH_LENGTH:
        lines.append(b"Content-Length: %d" % len(body))
    added = [(b"Dify-Hook-Id", hook.encode()), (b"Dify-Hook-Url", hook_url(host, hook, path, headers))]
    lines += (b"%b: %b" % header for header in sorted([*_passed_on(headers), *added], key=lambda header: header[0]))
    return b"\r\n".join([*lines, b"", body])


def _passed_on(headers: Headers) -> Iterable[tuple[bytes, bytes]]:
    typed = False
    for name, value in headers:
        low = name.lower()
        if low in REMOVED or low in _OURS or b"_" in low or (typed and low == b"content-type"):
            continue
        typed = typed or low == b"content-type"
        yield canonical(name), text(value)
