"""
What can go wrong, as the daemon's own words.

Everything that a client, a plugin author or an operator may meet is one of these classes; codes, HTTP statuses and `error_type` of the
wire live in one table, `difyd.web.envelope`. An exception that is not a `DaemonError` is a bug of ours and is shown as an internal error.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class DaemonError(Exception):
    """The root: raised only through its subclasses. Its text is written for the person who reads it."""

    details: Mapping[str, str] | None = None
    """Where the text is one that clients compare: the sentence that helps, which goes with it as `args`."""


class BadRequest(DaemonError):
    """The caller sent something that cannot be used; the text names the field or the rule. Raised by every floor."""


class BadIdentifier(BadRequest):
    """A string that should be a plugin unique identifier is none."""

    def __init__(self, text: str) -> None:
        super().__init__(f"plugin_unique_identifier is not valid: {text}")


class BadPackage(BadRequest):
    """A package or a bundle cannot be read, breaks a rule of the format, or lacks a demanded signature. Raised by `package`."""


class Unauthorized(DaemonError):
    """The key of a request is missing or wrong."""

    def __init__(self) -> None:
        super().__init__("unauthorized")


class PermissionDenied(DaemonError):
    """The declaration of a plugin does not allow what is asked of it."""


class NotFound(DaemonError):
    """A record that the caller named does not exist: an endpoint, an installation, a readme, an asset."""


class PluginNotFound(DaemonError):
    """The tenant has no such plugin. The text stays the short one of the wire; `args` may carry more."""

    def __init__(self, message: str = "plugin not found") -> None:
        super().__init__(message)


class InternalError(DaemonError):
    """Something of ours or below us failed in a way that we foresaw: a store, a process, a time limit. The text says what."""


class NoRuntime(InternalError):
    """
    An installed plugin cannot take a call on any node. Raised by the supervisor.

    The wire's short text comes first, the real cause follows it (http-api 19).
    """

    def __init__(self, cause: str = "") -> None:
        super().__init__("no available node, plugin runtime not found" + (f": {cause}" if cause else ""))
        self.cause = cause


class WriteFailed(InternalError):
    """A request certainly did not reach its plugin, so that it may be tried again. Raised by runtimes (local-runtime 9.1)."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"{cause}\nfailed to write request")


class KilledByTimeout(InternalError):
    """A call ran longer than `PLUGIN_MAX_EXECUTION_TIMEOUT`."""

    def __init__(self) -> None:
        super().__init__("killed by timeout")


class ClientTooSlow(InternalError):
    """More than `PLUGIN_SESSION_BUFFER` bytes wait for a client that does not read; its call is over. Raised by the event stream."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the client did not read: more than {limit} bytes were waiting for it (PLUGIN_SESSION_BUFFER)")


class ShuttingDown(InternalError):
    """The daemon takes no new calls because it is about to end."""

    def __init__(self) -> None:
        super().__init__("the plugin daemon is shutting down")


class Overloaded(InternalError):
    """Too much is being done at once for one more; the text names the limit. The caller may try again."""


class LaunchFailed(InternalError):
    """A plugin could not be brought up: its environment or its process. The text is what an install task shows."""


class StorageFailed(InternalError):
    """A file or an object could not be read or written."""


class PluginInvokeError(DaemonError):
    """
    A call failed in the plugin, or on the way to it and back (http-api 3.3).

    On the wire the text is a JSON object of its own, with the name of the plugin's exception as `error_type`.
    """

    def __init__(self, error_type: str, message: str, args: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error_type, self.message, self.arguments = error_type, message, args

    def to_json(self) -> str:
        """The nested object: `args` is left out when there is none, as for the daemon's own errors."""
        body: dict[str, Any] = {"error_type": self.error_type, "message": self.message}
        if self.arguments is not None:
            body = {"args": self.arguments, **body}
        return msgspec.json.encode(body).decode()


class ConnectionClosed(PluginInvokeError):
    """The process or the connection that served a call is gone."""

    def __init__(self) -> None:
        super().__init__("ConnectionClosedError", "Connection closed unexpectedly", {})


class MalformedChunk(PluginInvokeError):
    """A chunk of a plugin does not fit its action's schema."""

    def __init__(self, detail: str) -> None:
        super().__init__("unmarshal_error", f"unmarshal json failed: {detail}")


class MalformedLine(DaemonError):
    """A line of a plugin is no message. Never reaches a client; the channel logs it and reads on."""
