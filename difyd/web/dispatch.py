"""The calls of plugins: every action of the table is a route, by plugin id for a tenant and by unique identifier (http-api 7, 9, 10)."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from attrs import define
from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.web.iweb import IRequest

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import BadRequest, PluginNotFound
from difyd.invoke.actions import ACTIONS, Action, Answer
from difyd.invoke.answers import LastAnswer, event_answer
from difyd.invoke.invoker import Invoker, decode_request
from difyd.runtime.interfaces import IPluginRuntime, IRuntimes
from difyd.web.body import Bodies
from difyd.web.envelope import failure, success
from difyd.web.params import says_json
from difyd.web.request import Request
from difyd.web.sse import EventStream
from difyd.web.traffic import note_error, trace_of

PLUGIN_ID: Final = b"X-Plugin-Id"
NAMED: Final = 256
"""Characters of a plugin id that an error repeats; no real one has more."""
IDENTIFIER: Final = "X-Plugin-Unique-Identifier"


class Installed(Protocol):
    """What a call asks of the catalog."""

    async def find(self, tenant: str, plugin_id: str) -> Installation:
        """The version of a plugin that a tenant uses. Raises PluginNotFound."""


@define(eq=False)
class Dispatch:
    """
    From a request to the events of its answer.

    The order of the checks is that of http-api 7.1: who is called, is it installed, does it run, is the body right. What fails before the
    call is made is an envelope with its HTTP status; after that the status is 200 and a failure is the last event.
    """

    _installations: Installed
    _runtimes: IRuntimes
    _invoker: Invoker
    _bodies: Bodies
    _buffer: int
    """Bytes that may wait for one client, `PLUGIN_SESSION_BUFFER`."""

    app = Klein()

    async def call(self, request: Request, tenant: str, action: Action) -> bytes | None:
        """One call of a tenant's plugin."""
        header = request.getHeader(PLUGIN_ID)
        if not header:
            raise BadRequest("plugin_id is required: send the header X-Plugin-ID")
        plugin_id = header.decode(errors="replace")

        async def look_up() -> IPluginRuntime:
            try:
                installed = await self._installations.find(tenant, plugin_id)
            except PluginNotFound:  # the wire's short text, and what the person who reads it can do (decision table)
                raise PluginNotFound(f"plugin not found: {plugin_id[:NAMED]} is not installed in this workspace; install it first") from None
            return await self._runtimes.find(tenant, installed.identifier, installed.runtime)

        return await self._invoke(request, tenant, action, look_up)

    async def call_identified(self, request: Request, action: Action) -> bytes | None:
        """One call of a plugin by its unique identifier; the tenant stands in the body."""
        identifier = identifier_of(request)
        kind = RuntimeType.REMOTE if identifier.remote_like else RuntimeType.LOCAL

        async def look_up() -> IPluginRuntime:
            return await self._runtimes.find("", identifier, kind)

        return await self._invoke(request, None, action, look_up)

    async def _invoke(
        self, request: Request, tenant: str | None, action: Action, look_up: Callable[[], Awaitable[IPluginRuntime]]
    ) -> bytes | None:
        runtime = await look_up()
        if not says_json(request):
            raise BadRequest("the body of a call is JSON: send it with the header Content-Type: application/json")
        body = self._bodies.at_once(request)
        if body is None:
            body = await self._bodies.read(request)
            runtime = await look_up()  # the plugin may have been upgraded meanwhile
        called = decode_request(action, body)
        if tenant is None:
            tenant = called.tenant
            if not tenant:
                raise BadRequest("Key: 'tenant_id' Error:Field validation for 'tenant_id' failed on the 'required' tag: it is missing")
        request.identifier = runtime.identifier.text
        trace = trace_of(request)
        if action.answer is Answer.LAST:
            last = LastAnswer(action.check)
            try:
                await self._invoker.run(called, tenant, runtime, last, trace)
                return success(last.result())
            except CancelledError:
                raise
            except Exception as why:
                note_error(request, why)
                return failure(why)  # HTTP 200: Dify looks into the body only then (decision table)
        stream = EventStream(request, self._buffer)
        stream.open()
        try:
            await self._invoker.run(called, tenant, runtime, event_answer(action, stream), trace)
        except CancelledError:
            raise  # the client has gone, and the session is closed
        except Exception as why:
            note_error(request, why)
            stream.close(why)
        else:
            stream.close()
        return None


def identifier_of(request: IRequest) -> PluginIdentifier:
    """The plugin that a request below /v2/invoke names. Raises BadRequest, BadIdentifier."""
    header = request.getHeader(IDENTIFIER)
    if not header:
        raise BadRequest(f"{IDENTIFIER} header is required")
    return PluginIdentifier.parse(header)


def _declare(action: Action) -> None:
    async def call(self: Dispatch, request: Request, tenant: str) -> bytes | None:
        return await self.call(request, tenant, action)

    async def call_identified(self: Dispatch, request: Request) -> bytes | None:
        return await self.call_identified(request, action)

    routes: list[tuple[str, Callable[..., Awaitable[bytes | None]]]] = [(f"/plugin/<tenant>/dispatch/{action.path}", call)]
    if action.answer is not Answer.LAST:
        routes.append((f"/v2/invoke/dispatch/{action.path}", call_identified))
    for path, handler in routes:
        Dispatch.app.route(path, methods=["POST"], endpoint=path)(handler)


for _action in ACTIONS:
    _declare(_action)
