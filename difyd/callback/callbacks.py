"""Plugins call Dify: what each session has asked for, served beside one another, and dropped with the session."""

from collections.abc import Sequence
from typing import Final

from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from difyd.callback import permissions, storage
from difyd.callback.dify import Dify, traceparent
from difyd.callback.errors import Refused
from difyd.callback.interfaces import ICallbacks
from difyd.callback.invocation import BIG_AT_ONCE, Invocation, Places, Work
from difyd.callback.messages import BadMessage, Message, Reply, decode_message
from difyd.callback.storage import PluginStorage
from difyd.callback.types import TYPES
from difyd.entities.call import Call
from difyd.runtime.interfaces import IChannel
from difyd.telemetry.metrics import Invocations, Metrics, NoMetrics

PER_PLUGIN: Final = 1000
"""Invocations of one plugin that may be under way at once: as many as the SDK answers calls at once."""
PER_TENANT: Final = 2000
"""The same for all plugins of a tenant."""
LARGEST: Final = 256 << 20
"""Bytes of requests of one plugin that may be under way at once: each is held until it is served."""

_MODEL: Final = "model"
"""The access type of calls that may ask nothing."""
_UNKNOWN: Final = "unknown"
"""What types that nobody knows are called in metrics and in the log: a plugin must not make series by inventing types."""
_SHOWN: Final = 100
"""Characters of such a type that its plugin's author is shown."""
_PERMISSIONS: Final = {storage.NAME: permissions.STORAGE, **{name: row.permission for name, row in TYPES.items()}}


@implementer(ICallbacks)
@define(eq=False)
class Callbacks:
    """
    All invocations under way on this node, by session.

    Beyond a limit an invocation is refused, not kept waiting: when a tool calls back into its own plugin, the invocations that it would wait
    for may wait for it.
    """

    log = Logger()

    _clock: IReactorTime
    _dify: Dify
    _storage: PluginStorage
    _per_plugin: int = PER_PLUGIN
    _per_tenant: int = PER_TENANT
    _metrics: Metrics = field(factory=NoMetrics)
    _largest: int = LARGEST
    _plugins: Places = field(init=False)
    _tenants: Places = field(init=False)
    _refused: Places = field(init=False)
    """Of each plugin, refusals that it has not read."""
    _requests: Places = field(init=False)
    """Of each plugin, bytes of what it asks."""
    _turns: dict[str, DeferredSemaphore] = field(factory=dict, init=False)
    _open: dict[str, set[Invocation]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._plugins, self._tenants, self._refused = Places(self._per_plugin), Places(self._per_tenant), Places(self._per_plugin)
        self._requests = Places(self._largest)

    def __len__(self) -> int:
        """Invocations under way."""
        return sum(map(len, self._open.values()))

    def invoke(self, call: Call, channel: IChannel, message: bytes) -> None:
        wanted = decode_message(message)
        refusal = self._refusal(call, wanted)
        if refusal is None:
            self._serve(call, channel, wanted)
            return
        if self._refused.full(call.identifier.text):
            raise BadMessage(f"{refusal}; {self._refused.limit} refusals wait to be read by the plugin")
        self._refuse(call, channel, wanted.type, wanted.id, refusal)

    def refuse(self, call: Call, channel: IChannel, request_id: str, reason: str) -> None:
        self._refuse(call, channel, _UNKNOWN, request_id, reason)

    def close(self, call: Call) -> None:
        for invocation in self._open.pop(call.session, ()):
            invocation.cancel()

    def _refusal(self, call: Call, wanted: Message) -> str | None:
        kind = wanted.type
        if call.access == _MODEL:
            return permissions.FROM_MODEL
        permission = _PERMISSIONS.get(kind)
        if permission is None:
            return f"unsupported invoke type: {kind if len(kind) <= _SHOWN else kind[:_SHOWN] + '…'}"
        if (denied := permissions.refusal(call, permission)) is not None:
            return denied
        if self._plugins.full(call.identifier.text):
            return f"too many invocations at once: {self._per_plugin} of this plugin are under way (PLUGIN_MAX_INVOCATIONS)"
        if self._tenants.full(call.tenant):
            return f"too many invocations at once: {self._per_tenant} of this tenant are under way (TENANT_MAX_INVOCATIONS)"
        if self._requests.full(call.identifier.text, len(wanted.request)):
            return f"too many invocations at once: requests of more than {self._requests.limit} bytes of this plugin are under way"
        return None

    def _serve(self, call: Call, channel: IChannel, wanted: Message) -> None:
        row = TYPES.get(wanted.type)

        async def work(invocation: Invocation) -> Sequence[Raw]:
            if row is None:
                await invocation.turn()
                return [await self._storage.serve(call, wanted.request)]
            return await self._dify.serve(invocation, row, wanted.request)

        reply = Reply(call, wanted.id, streams=row is not None and row.streams)
        plugin = call.identifier.text
        self._start(
            Invocation(call, wanted.type, channel, reply, self._turns_of(plugin)),
            work,
            (self._plugins, plugin, 1),
            (self._tenants, call.tenant, 1),
            (self._requests, plugin, len(wanted.request)),
        )

    def _refuse(self, call: Call, channel: IChannel, kind: str, request_id: str, reason: str) -> None:
        async def work(_: Invocation) -> Sequence[Raw]:
            raise Refused(reason)

        plugin = call.identifier.text
        kind = kind if kind in _PERMISSIONS else _UNKNOWN
        self._start(Invocation(call, kind, channel, Reply(call, request_id), self._turns_of(plugin)), work, (self._refused, plugin, 1))

    def _turns_of(self, plugin: str) -> DeferredSemaphore:
        return self._turns.setdefault(plugin, DeferredSemaphore(BIG_AT_ONCE))

    def _start(self, invocation: Invocation, work: Work, *places: tuple[Places, str, int]) -> None:
        for kind, key, size in places:
            kind.take(key, size)
        count = self._metrics.invocations(invocation.call.identifier.plugin_id, invocation.type)
        count.began()
        self._open.setdefault(invocation.call.session, set()).add(invocation)
        invocation.start(work).addCallback(self._ended, invocation, self._clock.seconds(), count, places)

    def _ended(self, _: None, invocation: Invocation, begun: float, count: Invocations, places: Sequence[tuple[Places, str, int]]) -> None:
        for kind, key, size in places:
            kind.free(key, size)
        plugin = invocation.call.identifier.text
        if plugin not in self._plugins and plugin not in self._refused:
            self._turns.pop(plugin, None)
        call, elapsed = invocation.call, self._clock.seconds() - begun
        count.ended(invocation.outcome, elapsed, invocation.sent)
        open_ = self._open.get(call.session)
        if open_ is not None:
            open_.discard(invocation)
            if not open_:
                del self._open[call.session]
        self.log.info(
            "{identifier} invoked {type}: {outcome} after {elapsed:.3f} s",
            identifier=call.identifier.text, trace=traceparent(call)[3:35], tenant=call.tenant, user=call.user, session=call.session,
            type=invocation.type, outcome=f"{invocation.outcome}, {invocation.reason}" if invocation.reason else invocation.outcome,
            elapsed=elapsed, sent=invocation.sent,
        )  # fmt: skip
