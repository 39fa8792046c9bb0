"""
The root of the site: admits requests by their head and runs their handlers, with Klein's meaning:

- a handler is `async def f(self, request, **path_parameters)`; its Deferred is cancelled when the client goes away;
- returns `bytes`, or a tuple of them: the whole body of the answer, JSON unless the handler set another content type;
- returns None: the handler wrote the answer itself. It is finished for it, unless a producer is still registered that will finish it;
- raises: the answer is the error's envelope, or, when part of an answer is out already, a broken connection.
"""

# mypy: allow-untyped-calls

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET

from difyd.errors import DaemonError, ShuttingDown, Unauthorized
from difyd.web.envelope import Answer, InvalidRequest, answer
from difyd.web.request import Request, respond, respond_pieces
from difyd.web.routes import NO_ROUTE, BodyLimit, Group, Mount, Routes
from difyd.web.traffic import Traffic, note_error
from difyd.wire.text import Pieces


class Front(Resource):
    """Serves `routes`. On our own site `admit` comes first, with the head; elsewhere (treq's StubTreq) `render` does both."""

    isLeaf = True

    def __init__(self, routes: Routes, traffic: Traffic) -> None:
        super().__init__()
        self._routes = routes
        self._traffic = traffic

    def admit(self, request: Request) -> BodyLimit | Answer:
        """How much body the request may bring, or how it is refused: unknown route before wrong key before all that is dear."""
        found = self._routes.find(request.method, request.path)
        if found is None:
            return NO_ROUTE
        route, request.parameters = found
        request.route = route
        group = route.group
        if group.key is not None and not group.key.fits(request):
            return answer(Unauthorized())
        if self._traffic.closing and not group.open_to_the_end:
            return answer(ShuttingDown())
        return route.limit

    def render(self, request: Request) -> int:
        if not hasattr(request, "parameters"):
            verdict = self.admit(request)
            if isinstance(verdict, Answer):
                respond(request, verdict)
                return NOT_DONE_YET
        route = request.route
        assert route is not None
        if route.mount is not None:
            _render_mounted(request, route.mount)
        else:
            Running(request, route.group).start(route.handler, request.parameters)
        return NOT_DONE_YET


def _render_mounted(request: Request, mount: Mount) -> None:
    """Give the request to a plain resource, with `prepath` and `postpath` as twisted.web would have set them there."""
    rest = request.path[len(mount.path) :]
    request.prepath = [unquote_to_bytes(part) for part in mount.path.split(b"/")[1:-1]]
    request.postpath = [unquote_to_bytes(part) for part in rest.split(b"/")]
    request.render(getChildForRequest(mount.resource, request))


@define(eq=False)
class Running:
    """One handler at work. Holds nothing of the request but what it needs to answer."""

    log = Logger()
    _request: Request
    _group: Group
    _work: Deferred[Any] | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def start(self, handler: Callable[..., Any], parameters: dict[str, str]) -> None:
        self._request.notifyFinish().addCallbacks(self._finished, self._lost)
        try:
            work = handler(self._request, **parameters)
        except Exception:
            self._failed(Failure())
            return
        if iscoroutine(work):
            work = Deferred.fromCoroutine(work)
        elif not isinstance(work, Deferred):
            work = succeed(work)
        if not work.called:
            self._work = work
        work.addCallback(self._returned).addErrback(self._failed).addErrback(self._unanswerable)

    def _finished(self, _: None) -> None:
        self._over = True

    def _lost(self, _: Failure) -> None:
        self._over = True
        if self._work is not None:
            self._work.cancel()

    def _returned(self, result: bytes | Pieces | None) -> None:
        self._work = None
        if self._over:
            return
        if isinstance(result, bytes):
            respond(self._request, Answer(self._request.code, result))
        elif isinstance(result, tuple):
            respond_pieces(self._request, result)
        elif result is not None:
            raise TypeError(f"a handler returned neither bytes, a tuple of them, nor None: {result!r}")
        elif self._request.producer is None:
            self._request.finish()

    def _failed(self, failure: Failure) -> None:
        self._work = None
        if self._over:
            if not failure.check(CancelledError):
                self.log.failure("a handler failed after its request was over", failure)
            return
        note_error(self._request, failure.value)
        shown = answer(failure.value)
        if self._request.startedWriting:
            self._request.loseConnection()
        elif self._group.always_ok and isinstance(failure.value, DaemonError) and not isinstance(failure.value, InvalidRequest):
            respond(self._request, evolve(shown, status=200))
        else:
            respond(self._request, shown)

    def _unanswerable(self, failure: Failure) -> None:
        self.log.failure("an answer could not be written", failure)
        self._request.loseConnection()
