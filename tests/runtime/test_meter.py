"""What is counted of installed plugins."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime import hooks
from difyd.runtime.meter import Meter
from difyd.telemetry.metrics import NoMetrics
from tests.invoke.fakes import IDENTIFIER, MemoryRuntime


class Counted(NoMetrics):
    def __init__(self) -> None:
        self.events: list[tuple[str, float]] = []

    def runtime(self, plugin_id: str, runtime_type: str, state: float) -> None:
        self.events.append((f"{runtime_type} {plugin_id}", state))

    def plugins(self, runtime_type: str, up: int) -> None:
        self.events.append(("up", up))

    def restarted(self, plugin_id: str, runtime_type: str) -> None:
        self.events.append(("restarts", 1))


class MeterTests(SynchronousTestCase):
    def test_a_life(self) -> None:
        """Launching, up, a death, stopped: the number of plugins that are up never leaves what is true."""
        counted, runtime, name = Counted(), MemoryRuntime(), f"local {IDENTIFIER.plugin_id}"
        meter = Meter(counted)
        for event in (
            hooks.Starting(IDENTIFIER), hooks.Ready(runtime), hooks.InstanceGone(IDENTIFIER, "a", 1, "exited with code 1", False),
            hooks.Stopping(runtime), hooks.Stopped(runtime), hooks.InstanceGone(IDENTIFIER, "b", 2, "ended", False),
        ):  # fmt: skip
            meter(event)
        self.assertEqual(counted.events, [(name, 0.5), ("up", 0), (name, 1.0), ("up", 1), ("restarts", 1),
                                          (name, 0.0), ("up", 0), (name, 0.0), ("up", 0)])  # fmt: skip

    def test_failed_start(self) -> None:
        """A plugin that did not start is down, and was never counted as up."""
        counted = Counted()
        for event in (hooks.Starting(IDENTIFIER), hooks.StartFailed(IDENTIFIER, "no grapes")):
            Meter(counted)(event)
        self.assertEqual([value for what, value in counted.events if what == "up"], [0, 0])
