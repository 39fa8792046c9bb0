"""One call to a plugin: who asks, of whom, for what. Made once by `difyd.invoke`, read by whatever serves the call."""

from typing import Final

from msgspec import Raw, Struct

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier

NOTHING: Final = Raw(b"null")


class Call(Struct, frozen=True, eq=False):
    """
    The facts of a session (local-runtime 8.1).

    A struct, since one is made for every call: attrs sets the fields of a frozen class one by one.
    """

    session: str
    """UUID, new for each call."""
    tenant: str
    user: str
    """"" for webhooks."""
    identifier: PluginIdentifier
    declaration: Declaration
    access: str
    """The access type: `tool`, `model`, `endpoint`, …"""
    action: str
    conversation_id: str | None = None
    message_id: str | None = None
    app_id: str | None = None
    endpoint_id: str | None = None
    context: Raw = NOTHING
    """A JSON object or null, opaque."""
    traceparent: str = ""
    """W3C header for the calls that this one causes; "" where nobody began a trace."""

    def __repr__(self) -> str:
        return f"<call {self.session} of {self.identifier.text}: {self.action}>"
