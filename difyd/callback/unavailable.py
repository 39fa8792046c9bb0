"""For a daemon without the callback floor: every call of a plugin into Dify is answered with one error and an end."""

from typing import Any

import msgspec
from attrs import define
from zope.interface import implementer

from difyd.callback.interfaces import ICallbacks
from difyd.entities.call import Call
from difyd.errors import PluginInvokeError
from difyd.runtime.interfaces import IChannel
from difyd.wire.requests import BACKWARDS_RESPONSE, plugin_line


class _Invoke(msgspec.Struct, frozen=True):
    backwards_request_id: str


_invoke = msgspec.json.Decoder(_Invoke)


@implementer(ICallbacks)
@define(eq=False)
class Unavailable:
    def invoke(self, call: Call, channel: IChannel, message: bytes) -> None:
        try:
            request = _invoke.decode(message).backwards_request_id
        except msgspec.DecodeError as why:
            raise PluginInvokeError("invoke_dify_error", f"invoke dify failed: {why}") from None
        self.refuse(call, channel, request, "this plugin daemon does not carry calls into Dify")

    def refuse(self, call: Call, channel: IChannel, request_id: str, reason: str) -> None:
        def answer(event: str, text: str) -> bytes:
            data: dict[str, Any] = {"backwards_request_id": request_id, "event": event, "message": text, "data": None}
            return plugin_line(call, BACKWARDS_RESPONSE, data)

        channel.send(answer("error", reason) + answer("end", ""))

    def close(self, call: Call) -> None:
        """Nothing runs."""
