"""What a plugin writes to call Dify, and the lines that it reads in return (backwards-invocation 3; local-runtime 6.1)."""

from collections.abc import Sequence
from typing import Final

import msgspec
from attrs import define, field, frozen
from msgspec import Raw

from difyd.entities.call import Call
from difyd.entities.raw import NULL, Members
from difyd.errors import PluginInvokeError
from difyd.wire.requests import BACKWARDS_RESPONSE, plugin_line

_message = msgspec.json.Decoder(Members | None)
_text = msgspec.json.Decoder(str)

_NOTHING: Final = b"null}}\n"
"""How a line ends whose event has no data."""
_CLOSE: Final = b"}}\n"


class BadMessage(PluginInvokeError):
    """An `invoke` message is none: the whole call is over (backwards-invocation 3.5)."""

    def __init__(self, text: str) -> None:
        super().__init__("invoke_dify_error", f"invoke dify failed: {text}")


@frozen
class Message:
    """One call of a plugin, opened as far as it takes to know what is wanted."""

    type: str
    id: str
    """`backwards_request_id`: the plugin's, any text."""
    request: Raw = field(repr=False, eq=False)
    """A JSON object."""


def decode_message(data: bytes) -> Message:
    """Raises BadMessage with the text of the wire."""
    try:
        found = _message.decode(data)
    except (ValueError, RecursionError) as why:
        raise BadMessage(f"unmarshal invoke request failed: {why}") from None
    if found is None:
        raise BadMessage("invoke request is empty")
    request = found.get("request", NULL)
    kind, request_id = _string(found, "type", "type"), _string(found, "backwards_request_id", "request_id")
    if bytes(memoryview(request)[:1]) != b"{":
        raise BadMessage("invoke request missing request: it must be an object")
    return Message(kind, request_id, request)


def _string(found: Members, name: str, shown: str) -> str:
    try:
        return _text.decode(found.get(name, NULL))
    except msgspec.DecodeError:
        raise BadMessage(f"invoke request missing {shown}: {name} must be a string") from None


@define(eq=False)
class Reply:
    """The lines for one invocation. What all its responses begin with is made once."""

    _call: Call
    _id: str
    _streams: bool = False
    _head: bytes = field(init=False, default=b"")

    def responses(self, results: Sequence[Raw]) -> bytes:
        """A line for each result, of which there is at least one. Results are objects on one line."""
        if not self._head:
            self._head = self._line("response", "stream" if self._streams else "struct").removesuffix(_NOTHING)
        return b"".join((self._head, (_CLOSE + self._head).join(results), _CLOSE))

    def error(self, text: str) -> bytes:
        return self._line("error", text.encode(errors="replace").decode())

    def end(self) -> bytes:
        return self._line("end", "")

    def _line(self, event: str, message: str) -> bytes:
        data = {"backwards_request_id": self._id, "event": event, "message": message, "data": None}
        return plugin_line(self._call, BACKWARDS_RESPONSE, data)
