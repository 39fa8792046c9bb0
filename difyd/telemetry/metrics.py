"""
What is counted (configuration 7), as the floors see it.

Whoever counts asks once for a counter with its labels and keeps it; counting is then one call. `NoMetrics` counts nothing;
`difyd.telemetry.prometheus` is imported only when metrics are enabled.
"""

from collections.abc import Callable
from typing import Protocol


class Calls(Protocol):
    """Calls of one action of one plugin."""

    def began(self) -> None:
        """A call is under way."""

    def ended(self, status: str, seconds: float) -> None:
        """The call is over: `success`, `error`, `timeout` or `client_disconnect`. Exactly once for each `began`."""


class Invocations(Protocol):
    """What one plugin asks of Dify, or of its storage, by one type of invocation (backwards-invocation 17.20)."""

    def began(self) -> None:
        """An invocation is under way."""

    def ended(self, status: str, seconds: float, size: int) -> None:
        """
        The invocation is over: `success`, `error`, `refused` or `canceled`. Exactly once for each `began`.

        `size`: bytes of the answer's lines.
        """


class Stored(Protocol):
    """One operation on the object storage."""

    def ended(self, status: str, seconds: float) -> None:
        """It is over once more: `success`, `missing` or `error`."""


class Metrics(Protocol):
    """Everything the daemon counts."""

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """An HTTP request was answered. `endpoint` is the route's pattern, empty for unknown routes."""

    def calls(self, plugin_id: str, plugin_type: str, runtime_type: str, operation: str) -> Calls:
        """The counter of one action: `plugin_type` is the access type, `operation` the action; cheap to ask for again."""

    def invocations(self, plugin_id: str, kind: str) -> Invocations:
        """The counter of one type of invocation of one plugin; cheap to ask for again."""

    def installed(self, plugin_id: str, status: str, seconds: float) -> None:
        """An install job is over: `success` or `failed`."""

    def runtime(self, plugin_id: str, runtime_type: str, state: float) -> None:
        """A plugin is up (1), launching (0.5) or stopped (0)."""

    def plugins(self, runtime_type: str, up: int) -> None:
        """So many runtimes are up now."""

    def restarted(self, plugin_id: str, runtime_type: str) -> None:
        """A plugin was started again after it ended by itself."""

    def sessions(self, running: Callable[[], int]) -> None:
        """How many sessions are open; asked whenever somebody reads the figures."""

    def stored(self, operation: str, storage_type: str) -> Stored:
        """The counter of an operation on a kind of object storage; cheap to ask for again."""


class NoMetrics:
    """Counts nothing. Implements Metrics, and every counter that it gives."""

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None: ...

    def calls(self, plugin_id: str, plugin_type: str, runtime_type: str, operation: str) -> Calls:
        return self

    def invocations(self, plugin_id: str, kind: str) -> Invocations:
        return self

    def stored(self, operation: str, storage_type: str) -> Stored:
        return self

    def began(self) -> None: ...

    def ended(self, status: str, seconds: float, size: int = 0) -> None: ...

    def installed(self, plugin_id: str, status: str, seconds: float) -> None: ...

    def runtime(self, plugin_id: str, runtime_type: str, state: float) -> None: ...

    def plugins(self, runtime_type: str, up: int) -> None: ...

    def restarted(self, plugin_id: str, runtime_type: str) -> None: ...

    def sessions(self, running: Callable[[], int]) -> None: ...
