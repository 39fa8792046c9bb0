"""Metrics: names and labels that dashboards know, every call counted once."""

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from difyd.telemetry.prometheus import PrometheusMetrics

ACTION = {"plugin_id": "acme/echo", "plugin_type": "tool", "runtime_type": "local", "operation": "invoke_tool"}
NAMES = """
    plugin_http_requests_total plugin_http_request_duration_seconds plugin_invocations_total plugin_invocation_duration_seconds
    plugin_invocations_active plugin_installations_total plugin_installation_duration_seconds plugin_runtime_status active_plugins_total
    plugin_restarts_total active_sessions_total storage_operations_total storage_operation_duration_seconds
    plugin_backwards_invocations_total plugin_backwards_invocations_active plugin_backwards_invocation_duration_seconds
    plugin_backwards_invocation_bytes_total
"""


class PrometheusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = PrometheusMetrics()

    def values(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        page = self.metrics.page().decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.values().get((name, frozenset(labels.items())))

    def test_names(self) -> None:
        """Every series of configuration 7 is declared, and those of backwards-invocation 17.20; nothing else of ours."""
        declared = {line.split(" ")[2] for line in self.metrics.page().decode().splitlines() if line.startswith("# TYPE ")}
        ours = {name for name in declared if not name.startswith(("python_", "process_"))}
        self.assertEqual(ours, set(NAMES.split()))

    def test_call(self) -> None:
        """A call is active while it runs, and counted once with the way it ended."""
        calls = self.metrics.calls(**ACTION)
        calls.began()
        active = {name: value for name, value in ACTION.items() if name != "operation"}
        self.assertEqual(self.value("plugin_invocations_active", **active), 1)
        calls.ended("client_disconnect", 0.3)
        self.assertEqual(self.value("plugin_invocations_active", **active), 0)
        self.assertEqual(self.value("plugin_invocations_total", **ACTION, status="client_disconnect"), 1)
        self.assertIsNone(self.value("plugin_invocations_total", **ACTION, status="success"))
        self.assertEqual(self.value("plugin_invocation_duration_seconds_bucket", **ACTION, le="0.25"), 0)
        self.assertEqual(self.value("plugin_invocation_duration_seconds_bucket", **ACTION, le="0.5"), 1)

    def test_invocation(self) -> None:
        """What a plugin asks of Dify is active while it runs, and counted once with the way it ended and the bytes of its answer."""
        labels = {"plugin_id": "acme/echo", "type": "llm"}
        invocations = self.metrics.invocations(*labels.values())
        invocations.began()
        self.assertEqual(self.value("plugin_backwards_invocations_active", **labels), 1)
        invocations.ended("error", 0.3, 120)
        self.metrics.invocations(*labels.values()).began()
        self.metrics.invocations(*labels.values()).ended("success", 0.1, 30)
        for name, more, value in (
            ("invocations_active", {}, 0),
            ("invocations_total", {"status": "error"}, 1),
            ("invocations_total", {"status": "success"}, 1),
            ("invocation_duration_seconds_count", {}, 2),
            ("invocation_bytes_total", {}, 150),
        ):
            self.assertEqual(self.value(f"plugin_backwards_{name}", **labels, **more), value, name)

    def test_one_counter(self) -> None:
        """Asking again gives the same counter."""
        self.assertIs(self.metrics.calls(**ACTION), self.metrics.calls(**ACTION))

    def test_unknown(self) -> None:
        """A call for which no session could be made has no plugin and no runtime."""
        self.metrics.calls("", "tool", "", "invoke_tool").began()
        self.assertEqual(self.value("plugin_invocations_active", plugin_id="unknown", plugin_type="tool", runtime_type="unknown"), 1)

    def test_requests(self) -> None:
        """Requests are counted by pattern and status."""
        self.metrics.request("GET", "/health/check", 200, 0.001)
        self.metrics.request("GET", "/health/check", 200, 0.002)
        self.assertEqual(self.value("plugin_http_requests_total", method="GET", endpoint="/health/check", status="200"), 2)
        self.assertEqual(self.value("plugin_http_request_duration_seconds_count", method="GET", endpoint="/health/check"), 2)

    def test_made_up_methods(self) -> None:
        """A client cannot make series by inventing methods."""
        for method in ("AAA", "BBB", "CCC"):
            self.metrics.request(method, "/e/:hook_id/*path", 404, 0.001)
        self.assertEqual(self.value("plugin_http_requests_total", method="unknown", endpoint="/e/:hook_id/*path", status="404"), 3)

    def test_the_rest(self) -> None:
        """Gauges say what is now, counters what was."""
        self.metrics.installed("acme/echo", "failed", 3)
        self.metrics.runtime("acme/echo", "local", 0.5)
        self.metrics.plugins("local", 4)
        self.metrics.restarted("acme/echo", "local")
        self.metrics.sessions(lambda: 7)
        self.metrics.stored("write", "local").ended("success", 0.01)
        self.metrics.stored("write", "local").ended("success", 0.02)
        for name, labels, value in (
            ("plugin_installations_total", {"plugin_id": "acme/echo", "status": "failed"}, 1),
            ("plugin_runtime_status", {"plugin_id": "acme/echo", "runtime_type": "local"}, 0.5),
            ("active_plugins_total", {"runtime_type": "local"}, 4),
            ("plugin_restarts_total", {"plugin_id": "acme/echo", "runtime_type": "local"}, 1),
            ("active_sessions_total", {}, 7),
            ("storage_operations_total", {"operation": "write", "storage_type": "local", "status": "success"}, 2),
            ("storage_operation_duration_seconds_count", {"operation": "write", "storage_type": "local"}, 2),
        ):
            self.assertEqual(self.value(name, **labels), value, name)
