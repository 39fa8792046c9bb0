"""
Metrics in Prometheus' form (configuration 7): names, labels and buckets are those that dashboards know.

Imported only when metrics are enabled. What every request and every call changes is counted in plain numbers on the reactor's thread and
becomes series when somebody reads them: prometheus_client takes a lock for each of its numbers, ten of them for a call, which is 14 µs.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from itertools import accumulate
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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BOUNDS: Final = (*map(floatToGoString, _BUCKETS), "+Inf")
_ACTION: Final = ("plugin_id", "plugin_type", "runtime_type", "operation")
UNKNOWN: Final = "unknown"


class _Durations:
    """A histogram. A reader on another thread may see the sum one observation ahead of the counts, or behind them."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        family.add_metric(labels, list(zip(_BOUNDS, accumulate(self.counts), strict=True)), self.sum)


@define(eq=False)
class _Requests:
    """One method of one route."""

    seconds: _Durations = field(factory=_Durations)
    by_status: dict[int, int] = field(factory=dict)


@define(eq=False)
class PrometheusCalls:
    """The counter of one action of one plugin. Implements Calls."""

    active: int = 0
    seconds: _Durations = field(factory=_Durations)
    by_status: dict[str, int] = field(factory=dict)

    def began(self) -> None:
        self.active += 1

    def ended(self, status: str, seconds: float) -> None:
        self.active -= 1
        self.seconds.observe(seconds)
        self.by_status[status] = self.by_status.get(status, 0) + 1


@define(eq=False)
class _Busy(Collector):
    """The series of requests and calls. Read on another thread while the numbers go on: whatever may grow meanwhile is copied first."""

    requests: dict[tuple[str, str], _Requests] = field(factory=dict)
    """By method and route."""
    calls: dict[tuple[str, ...], PrometheusCalls] = field(factory=dict)
    """By the labels of _ACTION."""

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily("plugin_http_requests_total", "HTTP requests answered", labels=("method", "endpoint", "status"))
        seconds = HistogramMetricFamily("plugin_http_request_duration_seconds", "Time to answer HTTP requests", labels=("method", "endpoint"))
        for route, requests in list(self.requests.items()):
            for status, count in list(requests.by_status.items()):
                total.add_metric((*route, str(status)), count)
            requests.seconds.add_to(seconds, route)
        yield from (total, seconds)
        total = CounterMetricFamily("plugin_invocations_total", "Calls of plugins that are over", labels=(*_ACTION, "status"))
        seconds = HistogramMetricFamily("plugin_invocation_duration_seconds", "Time that calls of plugins took", labels=_ACTION)
        active: Tally[tuple[str, ...]] = Tally()
        for action, calls in list(self.calls.items()):
            for outcome, count in list(calls.by_status.items()):
                total.add_metric((*action, outcome), count)
            calls.seconds.add_to(seconds, action)
            active[action[:3]] += calls.active
        now = GaugeMetricFamily("plugin_invocations_active", "Calls of plugins under way", labels=_ACTION[:3])
        for plugin, running in active.items():
            now.add_metric(plugin, running)
        yield from (total, seconds, now)


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

        self._busy = _Busy()
        registry.register(self._busy)
        self._installs = counter("plugin_installations_total", "Install jobs that are over", "plugin_id", "status")
        self._install_seconds = histogram("plugin_installation_duration_seconds", "Time that install jobs took", "plugin_id")
        self._states = gauge("plugin_runtime_status", "1 up, 0.5 launching, 0 stopped", "plugin_id", "runtime_type")
        self._restarts = counter("plugin_restarts_total", "Plugins that were started again after they ended", "plugin_id", "runtime_type")
        self._plugins = gauge("active_plugins_total", "Plugins that are up", "runtime_type")
        self._sessions = gauge("active_sessions_total", "Sessions that are open")
        self._stored = counter("storage_operations_total", "Operations on the object storage", "operation", "storage_type", "status")
        self._stored_seconds = histogram("storage_operation_duration_seconds", "Time of such operations", "operation", "storage_type")

    def page(self) -> bytes:
        """What a Prometheus server reads. Takes some milliseconds for thousands of series: call it on a thread."""
        return generate_latest(self._registry)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = UNKNOWN  # a client must not make series by inventing methods
        counts = self._busy.requests.get((method, endpoint))
        if counts is None:
            counts = self._busy.requests[method, endpoint] = _Requests()
        counts.seconds.observe(seconds)
        counts.by_status[status] = counts.by_status.get(status, 0) + 1

    def calls(self, plugin_id: str, plugin_type: str, runtime_type: str, operation: str) -> PrometheusCalls:
        labels = (plugin_id or UNKNOWN, plugin_type, runtime_type or UNKNOWN, operation)
        found = self._busy.calls.get(labels)
        if found is None:
            found = self._busy.calls[labels] = PrometheusCalls()
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
