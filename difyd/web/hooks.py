"""
The public hooks, `/e/<hook>/…`: a request of anybody becomes a call of a plugin, its answer the response (http-api 11).

A plain resource, not Klein routes: paths may hold `//`, `%FF`, or end in a slash, and all of that belongs to the plugin.
"""

# mypy: allow-untyped-calls

from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from difyd.catalog.endpoints import Endpoints, schema_of
from difyd.catalog.installations import Installations
from difyd.entities.call import Call
from difyd.errors import BadIdentifier, BadRequest, InternalError, NotFound, Overloaded, PluginInvokeError, PluginNotFound
from difyd.invoke.hooks import HookAnswer, IResponse
from difyd.invoke.invoker import Invoker
from difyd.runtime.interfaces import IPluginRuntime, IRuntimes
from difyd.store.database.endpoints import Endpoint
from difyd.web.body import Bodies
from difyd.web.envelope import Answer, answer
from difyd.web.outflow import Outflow
from difyd.web.request import Request, respond
from difyd.web.routes import NO_ROUTE, BodyLimit, Mount
from difyd.web.traffic import note_error, trace_of
from difyd.wire.rawhttp import raw_request

PREFIX: Final = b"/e/"
ACCESS: Final = "endpoint"
ACTION: Final = "invoke_endpoint"
METHODS: Final = frozenset((b"HEAD", b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS"))
BODY: Final = BodyLimit(10 * 1024 * 1024)
"""A request body (http-api 21); a larger one is 413, not cut."""


@implementer(IResponse)
@define(eq=False)
class HookResponse:
    """What the plugin answers, towards the caller of the hook."""

    _request: Request
    _out: Outflow

    def start(self, status: int, headers: dict[str, str]) -> None:
        self._request.setResponseCode(status)
        for name, value in headers.items():
            self._request.setHeader(name.encode(), value.encode())
        if "content-type" not in headers and status not in NO_BODY_CODES:
            self._request.setHeader(b"content-type", b"application/octet-stream")

    def write(self, data: bytes) -> None:
        self._out.write(data)


@implementer(IResource)
@define(eq=False)
class Hooks:
    """Everything below `/e/`."""

    _endpoints: Endpoints
    _installations: Installations
    _runtimes: IRuntimes
    _invoker: Invoker
    _bodies: Bodies
    _buffer: int
    """Bytes that may wait for one caller."""
    _most: int
    """Calls of hooks that may run at once."""
    _running: int = field(default=0, init=False)

    isLeaf = True

    def mount(self) -> Mount:
        """Where they are served."""
        return Mount(PREFIX, self, METHODS, "/e/:hook_id/*path", BODY)

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise NotImplementedError("hooks have no children: all below /e/ belongs to the plugins")

    def render(self, request: Request) -> int:
        """The way of every resource: the answer is written when it is there."""
        serving = Deferred.fromCoroutine(self._serve(request))
        request.notifyFinish().addErrback(lambda _: serving.cancel())
        serving.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _serve(self, request: Request) -> None:
        hook, slash, path = unquote_to_bytes(request.path.removeprefix(PREFIX)).partition(b"/")
        if not hook:
            respond(request, NO_ROUTE)
        elif not slash:
            self._redirect(request)
        else:
            await self._bounded(request, hook.decode(errors="replace"), slash + path)

    def _redirect(self, request: Request) -> None:
        """`/e/<hook>` to `/e/<hook>/`, with its query."""
        path, mark, query = request.uri.partition(b"?")
        request.setHeader(b"location", path + b"/" + mark + query)
        respond(request, Answer(301 if request.method == b"GET" else 307, b""))

    async def _bounded(self, request: Request, hook: str, path: bytes) -> None:
        if self._running >= self._most:
            raise Overloaded(f"more than {self._most} calls of hooks at once (PLUGIN_ENDPOINT_MAX_CONCURRENCY)")
        self._running += 1
        try:
            await self._call(request, hook, path)
        finally:
            self._running -= 1

    async def _call(self, request: Request, hook: str, path: bytes) -> None:
        endpoint = await self._endpoints.by_hook(hook)
        runtime = await self._runtime(endpoint)
        schema = schema_of(runtime.declaration.part("endpoint"))
        if schema is None:
            raise PluginNotFound
        body = await self._bodies.read(request)
        settings = await self._endpoints.settings(endpoint, schema)
        runtime = await self._runtime(endpoint)  # a disk or Dify may have taken its time, and the plugin may have been upgraded meanwhile
        await self._answer(request, endpoint, runtime, {
            "raw_http_request": _raw(request, hook, path, body).hex(),
            "settings": Raw(msgspec.json.encode(settings)),
            "user_id": "",
            "type": ACCESS,
            "action": ACTION,
        })  # fmt: skip

    async def _runtime(self, endpoint: Endpoint) -> IPluginRuntime:
        """The plugin of an endpoint as it is installed now."""
        try:
            installed = await self._installations.find(endpoint.tenant, endpoint.plugin_id)
        except PluginNotFound:
            raise PluginInstallationNotFound from None
        except BadIdentifier:
            raise UnreadableInstallation from None
        if not endpoint.enabled:
            raise NotFound("endpoint not found")
        return await self._runtimes.find(endpoint.tenant, installed.identifier, installed.runtime)

    async def _answer(self, request: Request, endpoint: Endpoint, runtime: IPluginRuntime, data: dict[str, object]) -> None:
        call = Call(
            session=self._invoker.ids.new(),
            tenant=endpoint.tenant,
            user="",
            identifier=runtime.identifier,
            declaration=runtime.declaration,
            access=ACCESS,
            action=ACTION,
            endpoint_id=endpoint.id,
            traceparent=trace_of(request),
        )
        request.identifier = runtime.identifier.text
        out = Outflow(request, self._buffer)
        answered = HookAnswer(HookResponse(request, out))
        out.open()
        try:
            await self._invoker.open(call, data, runtime, answered, repeatable=False)
        except CancelledError:
            raise
        except Exception as why:
            if answered.started:
                note_error(request, why)
                out.abort()  # half an answer must not look whole
                return
            request.unregisterProducer()
            raise
        answered.end()
        out.close()

    def _failed(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            return  # the caller has gone
        why = failure.value
        note_error(request, why)
        if isinstance(why, PluginInvokeError):
            why = InternalError(why.to_json())  # here the error of a plugin is the message itself (http-api 11.1)
        told = answer(why)
        unknown = isinstance(why, BadRequest) and not isinstance(why, BadIdentifier)
        respond(request, Answer(404, told.body) if unknown else told)


class PluginInstallationNotFound(BadRequest):
    """The endpoint's plugin is not installed (any more)."""

    def __init__(self) -> None:
        super().__init__("plugin installation not found")


class UnreadableInstallation(BadIdentifier):
    """The row of the installation names no version."""

    def __init__(self) -> None:
        BadRequest.__init__(self, "invalid plugin unique identifier")


def _raw(request: Request, hook: str, path: bytes, body: bytes) -> bytes:
    _, mark, query = request.uri.partition(b"?")
    headers = [(name, value) for name, values in request.requestHeaders.getAllRawHeaders() for value in values]
    return raw_request(request.method, path, query if mark else None, headers, body, hook)
