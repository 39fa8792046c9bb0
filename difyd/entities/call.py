"""One call to a plugin: who asks, of whom, for what. Made once by `difyd.invoke`, read by whatever serves the call."""

from typing import Final

from attrs import field, frozen
from msgspec import Raw

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier

NOTHING: Final = Raw(b"null")


@frozen(eq=False)
class Call:
    """The facts of a session (local-runtime 8.1)."""

    session: str
    """UUID, new for each call."""
    tenant: str
    user: str
    """"" for webhooks."""
    identifier: PluginIdentifier
    declaration: Declaration = field(repr=False)
    access: str
    """The access type: `tool`, `model`, `endpoint`, …"""
    action: str
    conversation_id: str | None = None
    message_id: str | None = None
    app_id: str | None = None
    endpoint_id: str | None = None
    context: Raw = field(default=NOTHING, repr=False)
    """A JSON object or null, opaque."""
    traceparent: str = ""
    """W3C header for the calls that this one causes; "" when the request brought none."""
