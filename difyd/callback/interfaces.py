"""The seams of this room: to sessions, whose plugins call Dify, and to what the daemon itself asks of Dify."""

from collections.abc import Mapping, Sequence
from typing import Any

from zope.interface import Interface

from difyd.entities.call import Call
from difyd.runtime.interfaces import IChannel


class ICallbacks(Interface):
    """Plugins call Dify."""

    def invoke(call: Call, channel: IChannel, message: bytes) -> None:
        """
        Serve one `invoke` message (`{"type", "backwards_request_id", "request"}`) of the session of `call`.

        Returns at once; the work goes on in the background and answers by lines on `channel`: any number of `response`, or an `error`, then
        always one `end`. A refusal (permission, unknown type) is answered that way too. Raises PluginInvokeError when the message itself is
        malformed: that is the end of the session (local-runtime 6.3).
        """

    def refuse(call: Call, channel: IChannel, request_id: str, reason: str) -> None:
        """
        Answer an invocation that cannot be served with `error` and `end`; the session goes on.

        For a message of which only the head was taken in, because its line was too long (backwards-invocation 17.11).
        """

    def close(call: Call) -> None:
        """The session is over: cancel what still runs for it; nothing more is sent to its channel. Idempotent, cheap when nothing runs."""


class ISecrets(Interface):
    """
    Dify keeps the keys: it encrypts the settings of an endpoint, of which the daemon stores what Dify gives (backwards-invocation 7.7).

    `schema` is the list `settings` of the declaration's endpoint group. Without a secret in it Dify is not asked and settings stay as they
    are. All raise InnerApiError when Dify cannot be asked or refuses; cancelling one cancels its request.
    """

    async def encrypt(
        tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The settings as they may be stored."""

    async def decrypt(
        tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The settings as a plugin needs them; an object, whatever Dify has."""

    async def clear(tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> None:
        """Dify forgets what it has decrypted for this endpoint."""
