"""One open call: what its channel feeds it, and how it ends."""

from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.callback.interfaces import ICallbacks
from difyd.entities.call import Call
from difyd.errors import DaemonError, KilledByTimeout, PluginInvokeError
from difyd.invoke.answers import IAnswer
from difyd.runtime.interfaces import IChannel, ISession

ARGS_LIMIT = 10
"""Members of `args` in an error that are passed on (local-runtime 6.3)."""

_members = msgspec.json.Decoder(dict[str, Raw])


@implementer(ISession)
@define(eq=False)
class Session:
    """
    Fed by a channel, feeding an answer, closed once.

    `finished` fires when the plugin has ended its answer and fails with the reason when the call is over for another one; nothing that
    arrives after that is looked at.
    """

    log = Logger()

    call: Call
    request: bytes = field(repr=False)
    repeatable: bool
    _answer: IAnswer
    _callbacks: ICallbacks
    finished: Deferred[None] = field(factory=Deferred, init=False)
    _channel: IChannel | None = field(default=None, init=False)
    _early: list[bytes] = field(factory=list, init=False)
    """Invocations that came before the channel was known."""
    _over: bool = field(default=False, init=False)
    _alarm: IDelayedCall | None = field(default=None, init=False)
    _patience: float = field(default=0, init=False)

    @property
    def id(self) -> str:
        return self.call.session

    def attach(self, channel: IChannel) -> None:
        """The runtime has taken the session; `channel` leads to its instance."""
        self._channel = channel
        early, self._early = self._early, []
        for message in early:
            self.invoke(message)

    def watch(self, clock: IReactorTime, seconds: float) -> None:
        """From now on, end the call when its plugin is silent for that long."""
        self._patience = seconds
        self._alarm = clock.callLater(seconds, self._out_of_time, "was silent in", seconds, "PLUGIN_IDLE_EXECUTION_TIMEOUT")

    def close(self) -> None:
        """The owner is done with the call, however it ended: the channel forgets it, and what it asked of Dify is cancelled."""
        self._over = True
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._callbacks.close(self.call)
        if self._channel is not None:
            channel, self._channel = self._channel, None  # it knows us, too: a circle would keep the whole request until it is collected
            channel.close()
        if self.finished.called and isinstance(self.finished.result, Failure):  # it was over before anybody came to wait for it
            self.finished.addErrback(lambda _: None)

    def abandon(self, reason: DaemonError) -> None:
        """End the call for a reason of our own."""
        if not self._over:
            self._fail(reason)

    def expire(self, seconds: float) -> None:
        """The call has taken `seconds`, which is all that it has."""
        self._out_of_time("did not end", seconds, "PLUGIN_MAX_EXECUTION_TIMEOUT")

    def _out_of_time(self, what: str, seconds: float, setting: str) -> None:
        if not self._over:
            self.log.warn(
                "{identifier} {what} its answer to {action} for {seconds} s; {setting} sets the limit",
                identifier=self.call.identifier.text,
                what=what,
                action=self.call.action,
                session=self.id,
                tenant=self.call.tenant,
                trace=self.call.traceparent[3:35],
                seconds=seconds,
                setting=setting,
            )
            self._fail(KilledByTimeout())

    def stream(self, data: Raw) -> None:
        if self._over:
            return
        try:
            self._answer.chunk(data)
        except Exception as why:  # also a bug of ours: it costs this call, not the others of the plugin
            self._fail(why)

    def flush(self) -> None:
        if self._over:
            return
        self._heard()
        try:
            self._answer.flush()
        except Exception as why:
            self._end(why)

    def end(self) -> None:
        self.flush()
        if not self._over:
            self._end(None)

    def error(self, data: bytes) -> None:
        self._fail(plugin_error(data))

    def unknown(self, kind: str) -> None:
        self._fail(PluginInvokeError("unknown_stream_message_type", f"unknown stream message type: {kind}"))

    def broken(self, reason: PluginInvokeError) -> None:
        self._fail(reason)

    def invoke(self, data: bytes) -> None:
        if self._over:
            return
        self._heard()
        if self._channel is None:
            self._early.append(data)
            return
        try:
            self._callbacks.invoke(self.call, self._channel, data)
        except PluginInvokeError as why:
            self._fail(why)

    def refuse(self, invocation: str, reason: str) -> None:
        if not self._over and self._channel is not None:
            self._callbacks.refuse(self.call, self._channel, invocation, reason)

    def _heard(self) -> None:
        """The plugin is not silent."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.reset(self._patience)

    def _fail(self, reason: Exception) -> None:
        """What was written before the failure is delivered before it."""
        self.flush()
        if not self._over:
            self._end(reason)

    def _end(self, reason: Exception | None) -> None:
        self._over = True
        if reason is None:
            self.finished.callback(None)
        else:
            self.finished.errback(reason)


def plugin_error(data: bytes) -> PluginInvokeError:
    """
    The error that a plugin reports, as far as it can be read: it is an error in any case (http-api 22.2).

    Arguments stay the bytes that the plugin wrote; of more than ten the first ten are kept.
    """
    try:
        members: dict[str, Raw] = _members.decode(data)
        error_type, message = _text(members.get("error_type")), _text(members.get("message"))
        raw_args = members.get("args")
    except msgspec.DecodeError:
        return PluginInvokeError("PluginError", _text(Raw(data)), {})
    try:
        args: dict[str, Any] | None = dict(list(_members.decode(raw_args or Raw(b"null")).items())[:ARGS_LIMIT])
    except msgspec.DecodeError:
        args = None if raw_args in (None, Raw(b"null")) else {"args": raw_args}
    return PluginInvokeError(error_type or "PluginError", message, args)


def _text(raw: Raw | None) -> str:
    """A JSON string's text; of any other value its JSON."""
    if raw is None:
        return ""
    value = bytes(raw)
    return msgspec.json.decode(value, type=str) if value[:1] == b'"' else value.decode()
