"""
What the daemon writes to a plugin: one JSON object per line, eight members, always all of them (local-runtime 6.1).

Members that come from outside are spliced, not rebuilt: `Raw` values keep the bytes that a client wrote. Our own members are set last by
whoever makes `data`, and the finished line is freed of LF and CR, so that nobody's text becomes a second line.
"""

from typing import Any, Final

import msgspec

from difyd.entities.call import Call
from difyd.wire.text import one_line

REQUEST: Final = "request"
BACKWARDS_RESPONSE: Final = "backwards_response"

_encode = msgspec.json.Encoder().encode


def plugin_line(call: Call, event: str, data: Any) -> bytes:
    """The line of `event` for the session of `call`, with its newline. `data` is an object: a mapping or Raw."""
    text = _encode(
        {
            "session_id": call.session,
            "conversation_id": call.conversation_id,
            "message_id": call.message_id,
            "app_id": call.app_id,
            "endpoint_id": call.endpoint_id,
            "context": call.context,
            "event": event,
            "data": data,
        }
    )
    return one_line(text) + b"\n"
