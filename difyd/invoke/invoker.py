"""One call through the daemon: from a checked body to the end of the plugin's answer."""

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw, Struct
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from difyd.callback.interfaces import ICallbacks
from difyd.entities.call import NOTHING, Call
from difyd.errors import BadRequest, KilledByTimeout, ShuttingDown
from difyd.invoke.actions import Action
from difyd.invoke.answers import IAnswer
from difyd.invoke.deadlines import Deadlines
from difyd.invoke.fields import Members, WrongMembers
from difyd.invoke.ids import SessionIds
from difyd.invoke.session import Session
from difyd.runtime.interfaces import IPluginRuntime
from difyd.telemetry.metrics import Calls, Metrics, NoMetrics
from difyd.wire.requests import REQUEST, plugin_line
from difyd.wire.text import mend_surrogates, utf8


class _Body(Struct, frozen=True):
    """The body of a dispatch call (http-api 7.2). Members beside these are ignored."""

    data: Members
    tenant_id: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    app_id: str | None = None
    endpoint_id: str | None = None
    context: dict[str, Raw] | None = None


_body = msgspec.json.Decoder(_Body)


class Request(Struct, frozen=True, eq=False):
    """A body that fits its action, with everything that the plugin is to be told."""

    action: Action
    body: _Body
    data: Members

    def __repr__(self) -> str:
        return f"<request for {self.action.name}>"  # the rest may hold credentials

    @property
    def tenant(self) -> str:
        """The tenant that the body names, "" when it names none."""
        return self.body.tenant_id or ""


def decode_request(action: Action, body: bytes) -> Request:
    """Raises BadRequest with a line for every member that is missing or wrong (http-api 4)."""
    body = utf8(body)
    try:
        try:
            found = _body.decode(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # not JSON, or half a surrogate pair, which is mended
            found = _body.decode(mend_surrogates(body))
        action.request.complete(found.data, "data.")
    except WrongMembers as why:
        raise BadRequest(str(why)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise BadRequest(f"the body is no JSON object of a dispatch call: {why}") from None
    return Request(action, found, found.data)


@define(eq=False)
class Invoker:
    """Opens a session on a runtime, waits for its end, closes it."""

    _clock: IReactorTime
    _callbacks: ICallbacks
    _deadlines: Deadlines
    """How long a call may take in all, `PLUGIN_MAX_EXECUTION_TIMEOUT`."""
    _silence: float = 0
    """Seconds without a chunk after which a call is over, `PLUGIN_IDLE_EXECUTION_TIMEOUT`; 0 for no such limit."""
    _metrics: Metrics = field(factory=NoMetrics)
    ids: SessionIds = field(factory=SessionIds, init=False)
    _open: set[Session] = field(factory=set, init=False)

    def __len__(self) -> int:
        """Calls that are under way."""
        return len(self._open)

    def end_all(self) -> None:
        """The daemon is about to end: every open call is over now, each with an error that its client can read."""
        for session in tuple(self._open):
            session.abandon(ShuttingDown())

    async def run(self, request: Request, tenant: str, runtime: IPluginRuntime, answer: IAnswer, traceparent: str = "") -> None:
        """
        Send `request` to the plugin and feed `answer`.

        Returns when the plugin has ended. Raises WriteFailed when the request did not reach it, KilledByTimeout, and whatever ended the
        answer: PluginInvokeError, ClientTooSlow. Cancelling it closes the session; the plugin cannot be told.
        """
        body = request.body
        call = Call(
            session=self.ids.new(),
            tenant=tenant,
            user=body.user_id or "",
            identifier=runtime.identifier,
            declaration=runtime.declaration,
            access=request.action.access,
            action=request.action.name,
            conversation_id=body.conversation_id,
            message_id=body.message_id,
            app_id=body.app_id,
            endpoint_id=body.endpoint_id,
            context=NOTHING if body.context is None else Raw(msgspec.json.encode(body.context)),
            traceparent=traceparent,
        )
        data = {**request.data, "user_id": call.user, "type": call.access, "action": call.action}  # ours last: nobody forges them
        await self.open(call, data, runtime, answer, repeatable=request.action.repeatable)

    async def open(self, call: Call, data: Mapping[str, Any], runtime: IPluginRuntime, answer: IAnswer, *, repeatable: bool) -> None:
        """The same for a call that is not made by a body of Dify: a webhook."""
        session = Session(call, plugin_line(call, REQUEST, data), repeatable, answer, self._callbacks)
        count, began, status = self._began(session, runtime), self._clock.seconds(), "success"
        try:
            session.attach(await runtime.open(session))
            if self._silence:
                session.watch(self._clock, self._silence)
            self._deadlines.add(session)
            await session.finished
        except CancelledError:
            status = "client_disconnect"
            raise
        except BaseException as why:
            status = "timeout" if isinstance(why, KilledByTimeout) else "error"
            raise
        finally:
            self._open.discard(session)
            self._deadlines.remove(session)
            session.close()
            count.ended(status, self._clock.seconds() - began)

    def _began(self, session: Session, runtime: IPluginRuntime) -> Calls:
        self._open.add(session)
        call = session.call
        count = self._metrics.calls(call.identifier.plugin_id, call.access, runtime.kind.value, call.action)
        count.began()
        return count
