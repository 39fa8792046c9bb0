"""
What answers look like: the envelope, and the one table that turns errors into it (http-api 3).

Success is `{"code":0,"message":"success","data":...}`, where `data` is JSON that is passed on as it is. On errors `data` is left out
(dify-client 3.3), and `message` is a JSON text of its own:

    {"code":-400,"message":"{\"message\":\"plugin_id is required\",\"error_type\":\"PluginDaemonBadRequestError\",\"args\":null}"}
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from attrs import frozen
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.errors import (
    BadIdentifier,
    BadRequest,
    DaemonError,
    InternalError,
    NoRuntime,
    NotFound,
    Overloaded,
    PermissionDenied,
    PluginInvokeError,
    PluginNotFound,
    ShuttingDown,
    Unauthorized,
)
from difyd.wire.text import Pieces, escape_separators

log = Logger()

JSON: Final = b"application/json; charset=utf-8"
"""The content type of every envelope outside a stream."""


class InvalidRequest(BadRequest):
    """A request does not bind to its route: header, query or body. HTTP 400 in every group of routes. Raised by `difyd.web.params`."""


class TooLarge(BadRequest):
    """A body is larger than its route takes. HTTP 413 unless the route says otherwise."""

    def __init__(self, limit: int, text: str = "") -> None:
        super().__init__(text or f"request body is too large: at most {limit} bytes are accepted")


@frozen
class Shown:
    """How one class of errors appears to a client."""

    code: int
    error_type: str
    status: int
    """HTTP status where the answer is neither a stream nor one of management's (those are 200)."""


INTERNAL: Final = Shown(-500, "PluginDaemonInternalServerError", 500)
_BAD_REQUEST = "PluginDaemonBadRequestError"

ON_THE_WIRE: Final[Mapping[type[DaemonError], Shown]] = {
    BadIdentifier: Shown(-400, "PluginUniqueIdentifierError", 400),
    TooLarge: Shown(-400, _BAD_REQUEST, 413),
    BadRequest: Shown(-400, _BAD_REQUEST, 400),
    Unauthorized: Shown(-401, "PluginDaemonUnauthorizedError", 401),
    PermissionDenied: Shown(-403, "PluginPermissionDeniedError", 200),
    PluginNotFound: Shown(-404, "PluginNotFoundError", 404),
    NotFound: Shown(-404, "PluginDaemonNotFoundError", 404),
    PluginInvokeError: Shown(-500, "PluginInvokeError", 500),
    NoRuntime: Shown(-500, INTERNAL.error_type, 404),
    ShuttingDown: Shown(-500, INTERNAL.error_type, 503),
    Overloaded: Shown(-500, INTERNAL.error_type, 503),
    InternalError: INTERNAL,
}
"""An error is shown as the nearest of its classes; one that has none here is a bug of ours."""


@frozen
class Answer:
    """A finished answer: HTTP status and the envelope as its body."""

    status: int
    body: bytes


def success(data: bytes = b"true") -> bytes:
    """The envelope around `data`, one JSON value on one line, which is not looked into. Never pass `null`: clients take it for a failure."""
    return b"".join(success_pieces((data,)))


def success_pieces(data: Pieces) -> Pieces:
    """The same for `data` that has not been joined: it may be megabytes, which a handler's answer in pieces does not copy once more."""
    return b'{"code":0,"message":"success","data":', *data, b"}"


def failure(why: BaseException) -> bytes:
    """The envelope of an error, on one line, with the separators escaped that would cut an event in two. Logs what is not in the table."""
    return answer(why).body


def answer(why: BaseException | None) -> Answer:
    """The envelope of an error, as a Failure holds it, with its HTTP status. Logs what is not in the table; the client hears nothing of it."""
    shown = next((ON_THE_WIRE[kind] for kind in type(why).__mro__ if kind in ON_THE_WIRE), None)
    if shown is None:
        log.failure("unexpected error in a request", Failure(why))
        return Answer(INTERNAL.status, _encode(INTERNAL, "internal server error"))
    text = why.to_json() if isinstance(why, PluginInvokeError) else str(why)
    return Answer(shown.status, _encode(shown, text, why.details if isinstance(why, DaemonError) else None))


def _encode(shown: Shown, text: str, details: Mapping[str, str] | None = None) -> bytes:
    inner = msgspec.json.encode({"message": _valid(text), "error_type": shown.error_type, "args": details}).decode()
    return escape_separators(msgspec.json.encode({"code": shown.code, "message": inner}))


def _valid(text: str) -> str:
    """Lone surrogates, which no UTF-8 can carry, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
