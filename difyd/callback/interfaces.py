"""The seam between a session and what carries its plugin's calls into Dify."""

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

    def close(call: Call) -> None:
        """The session is over: cancel what still runs for it; nothing more is sent to its channel. Idempotent, cheap when nothing runs."""
