"""
Metrics in Prometheus' form (configuration 7): names, labels and buckets are those that dashboards know.

Imported only when metrics are enabled. What every request, call and invocation changes is counted in plain numbers on the reactor's thread and
becomes series when somebody reads them: prometheus_client takes a lock for each of its numbers, ten of them for a call, which is 14 µs.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
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
_INVOCATION: Final = ("plugin_id", "type")
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
class Ended:
    """What is over, by how it ended, and the time that it took. Implements Stored."""

    seconds: _Durations = field(factory=_Durations)
    by_status: dict[str | int, int] = field(factory=dict)

    def ended(self, status: str | int, seconds: float) -> None:
        self.seconds.observe(seconds)
        self.by_status[status] = self.by_status.get(status, 0) + 1


@define(eq=False)
class PrometheusCalls(Ended):
    """The counter of one action of one plugin. Implements Calls."""

    active: int = 0

    def began(self) -> None:
        self.active += 1

    def ended(self, status: str | int, seconds: float) -> None:
        self.active -= 1
        Ended.ended(self, status, seconds)


@define(eq=False)
class PrometheusInvocations:
    """The counter of one type of invocation of one plugin. Implements Invocations."""

    calls: PrometheusCalls = field(factory=PrometheusCalls)
    size: int = 0

    def began(self) -> None:
        self.calls.began()

    def ended(self, status: str, seconds: float, size: int) -> None:
        self.calls.ended(status, seconds)
        self.size += size


@define(eq=False)
class _Busy(Collector):
    """The series of what happens often. Read on another thread while the numbers go on: whatever may grow meanwhile is copied first."""

    requests: dict[tuple[str, ...], Ended] = field(factory=dict)
    """By method and route."""
    calls: dict[tuple[str, ...], PrometheusCalls] = field(factory=dict)
    """By the labels of _ACTION."""
    invocations: dict[tuple[str, ...], PrometheusInvocations] = field(factory=dict)
    """By the labels of _INVOCATION."""
    stored: dict[tuple[str, ...], Ended] = field(factory=dict)
    """By operation and kind of storage."""

    def collect(self) -> Iterator[Metric]:
        invocations = {labels: one.calls for labels, one in list(self.invocations.items())}
        yield from _ended("plugin_http_request", "HTTP requests", ("method", "endpoint"), self.requests)
        yield from _ended("plugin_invocation", "Calls of plugins", _ACTION, self.calls)
        yield _active("plugin_invocations_active", "Calls of plugins under way", _ACTION[:3], self.calls)
        yield from _ended("plugin_backwards_invocation", "Invocations of Dify and of their storage by plugins", _INVOCATION, invocations)
        yield _active("plugin_backwards_invocations_active", "Invocations by plugins under way", _INVOCATION, invocations)
        size = CounterMetricFamily("plugin_backwards_invocation_bytes", "Bytes of the answers to invocations by plugins", labels=_INVOCATION)
        for labels, one in list(self.invocations.items()):
            size.add_metric(labels, one.size)
        yield size
        yield from _ended("storage_operation", "Operations on the object storage", ("operation", "storage_type"), self.stored)


def _ended(name: str, what: str, labels: tuple[str, ...], found: Mapping[tuple[str, ...], Ended]) -> Iterator[Metric]:
    """How many are over, and how long they took."""
    total = CounterMetricFamily(f"{name}s", f"{what} that are over", labels=(*labels, "status"))
    seconds = HistogramMetricFamily(f"{name}_duration_seconds", f"{what}: the time that they took", labels=labels)
    for values, ended in list(found.items()):
        for status, count in list(ended.by_status.items()):
            total.add_metric((*values, str(status)), count)
        ended.seconds.add_to(seconds, values)
    yield from (total, seconds)


def _active(name: str, what: str, labels: tuple[str, ...], found: Mapping[tuple[str, ...], PrometheusCalls]) -> Metric:
    """How many are under way, told by the first labels of those in `found`."""
    active: Tally[tuple[str, ...]] = Tally()
    for values, calls in list(found.items()):
        active[values[: len(labels)]] += calls.active
    now = GaugeMetricFamily(name, what, labels=labels)
    for values, running in active.items():
        now.add_metric(values, running)
    return now


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

    def page(self) -> bytes:
        """What a Prometheus server reads. Takes some milliseconds for thousands of series: call it on a thread."""
        return generate_latest(self._registry)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = UNKNOWN  # a client must not make series by inventing methods
        counts = self._busy.requests.get((method, endpoint))
        if counts is None:
            counts = self._busy.requests[method, endpoint] = Ended()
        counts.ended(status, seconds)

    def calls(self, plugin_id: str, plugin_type: str, runtime_type: str, operation: str) -> PrometheusCalls:
        labels = (plugin_id or UNKNOWN, plugin_type, runtime_type or UNKNOWN, operation)
        found = self._busy.calls.get(labels)
        if found is None:
            found = self._busy.calls[labels] = PrometheusCalls()
        return found

    def invocations(self, plugin_id: str, kind: str) -> PrometheusInvocations:
        labels = (plugin_id, kind)
        found = self._busy.invocations.get(labels)
        if found is None:
            found = self._busy.invocations[labels] = PrometheusInvocations()
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

    def stored(self, operation: str, storage_type: str) -> Ended:
        return self._busy.stored.setdefault((operation, storage_type), Ended())


_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
