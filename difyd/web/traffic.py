"""All requests that are under way: counted, logged when they are over, refused when the daemon is about to end."""

import random
import re
from pathlib import Path
from time import time
from typing import Any, Final
from urllib.parse import unquote

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from difyd.errors import PluginInvokeError
from difyd.telemetry.metrics import Metrics
from difyd.web.request import Request
from difyd.web.waiters import Waiters

_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SECRET: Final = re.compile(r"(?i)key|token|secret|passw|pwd|sig|auth|jwt|credential|code|session")
"""Names of parameters whose value does not belong into a log."""
_LOGGED: Final = 2048
"""Characters of a path in the log; a client may send a megabyte."""
_ERROR_LOGGED: Final = 64
"""Characters of the name of an error, which a plugin may have made up."""


def trace_of(request: Request) -> str:
    """
    The `traceparent` of a request, for its log line and for all that it causes (http-api 18).

    Its own, if that is a good one; else made up the first time it is asked for.
    """
    if not request.trace:
        values = request.requestHeaders.getRawHeaders(b"Traceparent")
        if values and _TRACEPARENT.fullmatch(values[0]):
            request.trace = values[0].decode()
        else:  # not a secret, so the cheap source of chance will do
            request.trace = f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"
    return request.trace


def note_error(request: Request, why: BaseException | None) -> None:
    """Have the log line of a request say why it failed: the HTTP status of many is 200, and of the others it says little."""
    request.error = (why.error_type if isinstance(why, PluginInvokeError) else type(why).__name__)[:_ERROR_LOGGED]


@define(eq=False)
class Traffic:
    """
    What the site tells of each request: that it began, and exactly once that it ended.

    `quiet`: paths that are not logged.
    """

    _metrics: Metrics
    _quiet: frozenset[bytes] = frozenset()
    closing: bool = field(default=False, init=False)
    """Set for good by `close`: new calls are refused."""
    active: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)
    """Those of `active` that are calls of plugins."""
    _idle: Waiters = field(factory=Waiters, init=False)
    log: Logger = field(init=False)
    """Of the instance: one on the class is made anew whenever it is asked for."""

    def __attrs_post_init__(self) -> None:
        self.log = Logger(f"{__name__}.{type(self).__name__}", self)

    def began(self, request: Request) -> None:
        self.active += 1
        if request.route is not None and request.route.is_call:
            self.calls += 1

    def ended(self, request: Request, seconds: float) -> None:
        """The request was answered, or its client has gone. One log line."""
        self.active -= 1
        route = request.route
        if route is not None and route.is_call:
            self.calls -= 1
        self._metrics.request(request.method.decode("latin-1"), route.label if route is not None else "", request.code, seconds)
        if request.path not in self._quiet:
            self._log(request, seconds)
        if not self.active:
            self._idle.fire()

    def close(self) -> None:
        """Take no new calls; what is open goes on."""
        self.closing = True

    def idle(self) -> Deferred[None]:
        """Fires when nothing is under way; at once when it is so now. Cancelling forgets the waiter."""
        return self._idle.wait(not self.active)

    def _log(self, request: Request, seconds: float) -> None:
        """
        Make the event and hand it to the observers, as Logger.emit does, which takes 10 µs more for it: it makes a
        logger for each use, goes through all levels to check one, and leaves it to the observer to find out who called.
        """
        status, trace = request.code, trace_of(request)
        route = request.route
        event: dict[str, Any] = {
            "log_logger": self.log,
            "log_level": LogLevel.info if status < 400 else LogLevel.warn if status < 500 else LogLevel.error,
            "log_namespace": self.log.namespace,
            "log_source": self,
            "log_format": "HTTP request",
            "log_time": time(),
            "log_caller": _CALLER,
            "trace": trace[3:35],
            "span": trace[36:52],
            "tenant": request.parameters.get("tenant", "") if route is not None else "",
            "user": _named(request, b"X-User-Id"),
            "user_type": _named(request, b"X-User-Type"),
            "method": request.method.decode("latin-1"),
            "path": _loggable(request.uri[:_LOGGED].decode("utf-8", "replace"), route is not None and route.mount is not None),
            "status": status,
            "latency_ms": int(seconds * 1000),
            "client_ip": getattr(request.client, "host", ""),
        }
        if request.identifier:
            event["identifier"] = request.identifier
        if request.error:
            event["error"] = request.error
        self.log.observer(event)


_CALLER: Final = f"{Path(__file__).name}:{Traffic._log.__code__.co_firstlineno}"


def _named(request: Request, header: bytes) -> str:
    """What a header of the API server says, "" when it is not there."""
    value = request.getHeader(header)
    return value.decode("utf-8", "replace")[:_LOGGED] if value else ""


def _loggable(uri: str, secret: bool) -> str:
    """A path with its query, without values that may be secrets; all may be where they are meant for a plugin."""
    path, mark, query = uri.partition("?")
    if not mark:
        return path
    named = [parameter.partition("=") for parameter in query.split("&")]
    return f"{path}?" + "&".join(
        f"{name}=***" if value and (secret or _SECRET.search(unquote(name))) else name + equals + value for name, equals, value in named
    )
