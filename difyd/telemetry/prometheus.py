"""
Metrics in Prometheus' form (configuration 7): names, labels and buckets are those that dashboards know.

Imported only when metrics are enabled. Each set of labels is looked up once; after that counting is an addition.
"""

from collections.abc import Callable
from typing import Final

from attrs import define, field
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.gc_collector import GCCollector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNKNOWN: Final = "unknown"


@define(eq=False)
class _Requests:
    """One method of one route: its histogram, and a counter for each status."""

    seconds: Histogram
    by_status: dict[int, Counter] = field(factory=dict)


@define(eq=False)
class PrometheusCalls:
    """The counter of one action of one plugin. Implements Calls."""

    _active: Gauge
    _seconds: Histogram
    _total: Counter
    _labels: tuple[str, ...]
    _by_status: dict[str, Counter] = field(factory=dict, init=False)

    def began(self) -> None:
        self._active.inc()

    def ended(self, status: str, seconds: float) -> None:
        self._active.dec()
        self._seconds.observe(seconds)
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._total.labels(*self._labels, status)
        counter.inc()


class PrometheusMetrics:
    """Implements Metrics. One registry of its own: two daemons in one process (tests) do not count each other."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # else one more series for each; a switch for the whole process only
        self._registry = registry = registry or CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, registry=registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, labels, registry=registry)

        def histogram(name: str, about: str, *labels: str) -> Histogram:
            return Histogram(name, about, labels, registry=registry, buckets=_BUCKETS)

        self._requests = counter("plugin_http_requests_total", "HTTP requests answered", "method", "endpoint", "status")
        self._request_seconds = histogram("plugin_http_request_duration_seconds", "Time to answer HTTP requests", "method", "endpoint")
        action = ("plugin_id", "plugin_type", "runtime_type", "operation")
        self._calls = counter("plugin_invocations_total", "Calls of plugins that are over", *action, "status")
        self._call_seconds = histogram("plugin_invocation_duration_seconds", "Time that calls of plugins took", *action)
        self._active = gauge("plugin_invocations_active", "Calls of plugins under way", *action[:3])
        self._installs = counter("plugin_installations_total", "Install jobs that are over", "plugin_id", "status")
        self._install_seconds = histogram("plugin_installation_duration_seconds", "Time that install jobs took", "plugin_id")
        self._states = gauge("plugin_runtime_status", "1 up, 0.5 launching, 0 stopped", "plugin_id", "runtime_type")
        self._restarts = counter("plugin_restarts_total", "Plugins that were started again after they ended", "plugin_id", "runtime_type")
        self._plugins = gauge("active_plugins_total", "Plugins that are up", "runtime_type")
        self._sessions = gauge("active_sessions_total", "Sessions that are open")
        self._stored = counter("storage_operations_total", "Operations on the object storage", "operation", "storage_type", "status")
        self._stored_seconds = histogram("storage_operation_duration_seconds", "Time of such operations", "operation", "storage_type")
        self._by_route: dict[tuple[str, str], _Requests] = {}
        self._by_action: dict[tuple[str, ...], PrometheusCalls] = {}

    def page(self) -> bytes:
        """What a Prometheus server reads. Takes some milliseconds for thousands of series: call it on a thread."""
        return generate_latest(self._registry)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = UNKNOWN  # a client must not make series by inventing methods
        counts = self._by_route.get((method, endpoint))
        if counts is None:
            counts = self._by_route[method, endpoint] = _Requests(self._request_seconds.labels(method, endpoint))
        counts.seconds.observe(seconds)
        counter = counts.by_status.get(status)
        if counter is None:
            counter = counts.by_status[status] = self._requests.labels(method, endpoint, str(status))
        counter.inc()

    def calls(self, plugin_id: str, plugin_type: str, runtime_type: str, operation: str) -> PrometheusCalls:
        labels = (plugin_id or UNKNOWN, plugin_type, runtime_type or UNKNOWN, operation)
        found = self._by_action.get(labels)
        if found is None:
            found = PrometheusCalls(self._active.labels(*labels[:3]), self._call_seconds.labels(*labels), self._calls, labels)
            self._by_action[labels] = found
        return found

    def installed(self, plugin_id: str, status: str, seconds: float) -> None:
        self._installs.labels(plugin_id, status).inc()
        self._install_seconds.labels(plugin_id).observe(seconds)

    def runtime(self, plugin_id: str, runtime_type: str, state: float) -> None:
        self._states.labels(plugin_id, runtime_type).set(state)

    def plugins(self, runtime_type: str, up: int) -> None:
        self._plugins.labels(runtime_type).set(up)

    def restarted(self, plugin_id: str, runtime_type: str) -> None:
        self._restarts.labels(plugin_id, runtime_type).inc()

    def sessions(self, running: Callable[[], int]) -> None:
        self._sessions.set_function(running)

    def stored(self, operation: str, storage_type: str, status: str, seconds: float) -> None:
        self._stored.labels(operation, storage_type, status).inc()
        self._stored_seconds.labels(operation, storage_type).observe(seconds)


_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
