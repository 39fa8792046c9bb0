"""The client of Dify's inner API (backwards-invocation 6; dify-client 10)."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import urlsplit

from attrs import define, frozen
from hyperlink import EncodedURL
from msgspec import Raw
from treq.client import HTTPClient
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from difyd.callback.body import Patience, RequestBody, ResponseBody
from difyd.callback.errors import InnerApiError, Interrupted, NoSuchRoute
from difyd.callback.pool import CONNECT
from difyd.callback.results import data_of
from difyd.wire.frames import Broken, Frame, FrameBuffer

LONGEST_RESULT: Final = 64 << 20
"""Bytes of an answer that is not streamed."""
QUOTED: Final = 4096
"""Bytes of a refusal's body that are told to the author of the plugin."""

Room = Callable[[int], Deferred[None]]
"""Told how many bytes of an answer are held; fires when more may be read."""

_SLASHES: Final = re.compile("/{2,}")
_WRAPPED: Final = (RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed)
_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (error.DNSLookupError, "its host name cannot be resolved"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.TimeoutError, f"no connection within {CONNECT:g} s"),
    (error.ConnectError, "no connection"),
)
_LOST: Final = (error.ConnectionClosed, error.ConnectionAborted)


@frozen
class Limits:
    """Seconds, and bytes."""

    read: float
    """Longest silence of Dify: before its answer and within it. `DIFY_BACKWARDS_INVOCATION_READ_TIMEOUT`."""
    write: float
    """Longest standstill while a request is sent. `DIFY_BACKWARDS_INVOCATION_WRITE_TIMEOUT`."""
    frame: int
    """Largest frame of a streamed answer. `RESPONSE_MAX_BUFFER_SIZE`."""


@define(eq=False)
class Answer:
    """Dify has answered 200; its body has not been read. One of the two methods is called, once."""

    _response: IResponse
    _clock: IReactorTime
    _limits: Limits

    async def result(self, room: Room | None = None) -> Raw:
        """The `data` of an answer that is not streamed; see `frames` for `room`. Raises InnerApiError; cancelling closes the connection."""
        parts: list[bytes] = []
        size = 0

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > LONGEST_RESULT:
                raise InnerApiError(f"the answer has more than {LONGEST_RESULT} bytes")
            parts.append(data)

        await self._read(take, room and (lambda: room(size)))
        return data_of(b"".join(parts))

    async def frames(self, take: Callable[[list[bytes]], None], room: Room) -> None:
        """
        Give the frames of a streamed answer to `take`, those of one read together; read on when `room`, told what is held of one, fires.

        Returns at the end of the answer. Raises InnerApiError after the frames that were whole, or what `take` raises; cancelling closes the
        connection.
        """
        buffer = FrameBuffer(self._limits.frame)
        try:
            await self._read(lambda data: _hand_over(buffer.feed(data), take), lambda: room(buffer.held))
        except Interrupted as why:
            _hand_over([one for one in buffer.end() if isinstance(one, Broken)], take, f"{why}\n")
            raise
        _hand_over(buffer.end(), take, "unexpected EOF\n")

    async def refusal(self) -> InnerApiError:
        """What Dify says with a status other than 200, as an error."""
        parts: list[bytes] = []

        def take(data: bytes) -> None:
            parts.append(data)
            if sum(map(len, parts)) > QUOTED:
                raise Interrupted("enough is known")

        with suppress(Interrupted):  # cut off, silent or long: what has come is told
            await self._read(take)
        body = b"".join(parts)
        text = body[:QUOTED].decode(errors="replace") + ("…" if len(body) > QUOTED else "")
        status = self._response.code
        kind = NoSuchRoute if status == 404 else InnerApiError
        return kind(f"request failed with status code: {status} and respond with: ", text)

    def _read(self, take: Callable[[bytes], None], room: Callable[[], Deferred[None]] | None = None) -> Deferred[None]:
        body = ResponseBody(self._clock, self._limits.read, take, room)
        self._response.deliverBody(body)
        return body.finished


def _hand_over(frames: list[Frame], take: Callable[[list[bytes]], None], cause: str = "") -> None:
    """What stands before a violation is taken before it is raised."""
    broken = frames.pop() if frames and isinstance(frames[-1], Broken) else None
    whole = [frame for frame in frames if isinstance(frame, bytes)]
    if whole:
        take(whole)
    if isinstance(broken, Broken):
        raise InnerApiError(cause + broken.reason)


class _Address(EncodedURL):
    """An address as it stands in a request already. treq makes every address fit once more, which fails for hosts such as `[::1]`."""

    def to_uri(self) -> "_Address":
        return self


def _fit(url: str) -> str:
    """Names in ASCII, other characters percent-encoded; without query and fragment, double slashes, and one at the end."""
    parts = urlsplit(url)
    address = EncodedURL.from_text(f"{parts.scheme}://{parts.netloc}{_SLASHES.sub('/', parts.path).rstrip('/')}")
    if ":" not in address.host:
        return str(address.to_uri().to_text())
    return str(address.replace(host="literal").to_uri().replace(host=address.host).to_text())


class InnerApi:
    """Asks Dify, with the key that it knows the daemon by."""

    log = Logger()

    def __init__(self, clock: IReactorTime, client: HTTPClient, url: str, key: str, limits: Limits) -> None:
        """`url` and `key` are `DIFY_INNER_API_URL` and `DIFY_INNER_API_KEY`."""
        self._clock, self._client, self._limits = clock, client, limits
        self.base = _fit(url)
        """Where Dify is, without a slash at the end."""
        self._headers = Headers({"Content-Type": ["application/json"], "X-Inner-Api-Key": [key]})

    async def ask(self, path: str, body: bytes, traceparent: str, *, repeatable: bool = False) -> Answer:
        """
        POST `body` to `path` below `/inner/api/`.

        Returns when Dify has begun to answer with 200. Raises InnerApiError with a sentence for whatever else happens: no connection, no
        answer in time, another status. Cancelling closes the connection; Dify may have understood the request all the same. One that is
        `repeatable` may be sent a second time where a kept connection turns out to be closed.
        """
        late: list[str] = []

        def give_up(what: str) -> None:
            late.append(what)
            asked.cancel()

        patience = Patience(self._clock, give_up)
        patience.wait(self._limits.read, "Dify could not be reached")
        headers = self._headers.copy()
        headers.setRawHeaders("traceparent", [traceparent])
        asked = self._client.post(
            _Address.from_text(f"{self.base}/inner/api/{path}"),
            data=RequestBody(
                body,
                began=lambda: patience.wait(self._limits.write, "Dify did not take the request"),
                given=lambda: patience.wait(self._limits.read, "Dify did not answer"),
                repeatable=repeatable,
            ),
            headers=headers,
            allow_redirects=False,  # they would carry the key to wherever they lead
            unbuffered=True,
            reactor=cast(Any, self._clock),  # without one treq fetches the global reactor
        )
        try:
            response = await asked
        except Exception as why:
            if late:
                raise InnerApiError(late[0]) from None
            raise self._described(why, path) from why
        finally:
            patience.stop()
        answer = Answer(response, self._clock, self._limits)
        if response.code == 404:
            self.log.error(
                "Dify does not know {path}, or its INNER_API_KEY_FOR_PLUGIN is not our DIFY_INNER_API_KEY: it has answered 404 to {url}",
                path=path, url=self.base,
            )  # fmt: skip
        if response.code != 200:
            raise await answer.refusal()
        return answer

    def _described(self, why: Exception, path: str) -> Exception:
        """The error for the author of the plugin; the operator finds the rest in the log."""
        answered = isinstance(why, ResponseFailed)
        while isinstance(why, _WRAPPED) and why.reasons:
            why = why.reasons[0].value
        if isinstance(why, CancelledError | error.ConnectingCancelledError):
            return CancelledError()
        if isinstance(why, _LOST):
            text = "the connection to Dify was lost before it answered"
        elif "OpenSSL" in type(why).__module__:
            text = "no secure connection to Dify: its certificate or its protocol is not accepted"
        elif answered:
            text = "what Dify answered is no HTTP that can be read"
        else:
            reason = next((words for kind, words in _CAUSES if isinstance(why, kind)), type(why).__name__)
            text = f"Dify cannot be reached: {reason}"
        self.log.warn("the inner API at {url} did not answer {path}: {reason}", url=self.base, path=path, reason=why)
        return InnerApiError(text)
