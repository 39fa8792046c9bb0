"""What is counted of installed plugins."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.identifier import PluginIdentifier
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
        """Launching, up, a death, up again, stopped: the number of plugins that are up never leaves what is true."""
        counted, runtime, name = Counted(), MemoryRuntime(), f"local {IDENTIFIER.plugin_id}"
        meter = Meter(counted)
        for event in (
            hooks.Starting(IDENTIFIER), hooks.InstanceReady(IDENTIFIER, "a", 1, 0.1), hooks.Ready(runtime),
            hooks.InstanceGone(IDENTIFIER, "a", 1, "exited with code 1", False), hooks.InstanceReady(IDENTIFIER, "b", 2, 0.1),
            hooks.Stopping(runtime), hooks.InstanceGone(IDENTIFIER, "b", 2, "ended", False), hooks.Stopped(runtime),
        ):  # fmt: skip
            meter(event)
        self.assertEqual(counted.events, [(name, 0.5), ("up", 0), (name, 1.0), ("up", 1), ("restarts", 1), (name, 0.5), ("up", 1),
                                          (name, 1.0), ("up", 1), (name, 0.0), ("up", 0)])  # fmt: skip

    def test_sleep(self) -> None:
        """A plugin that was put to sleep is up, and waking it is no restart."""
        counted = Counted()
        meter = Meter(counted)
        for event in (
            hooks.Starting(IDENTIFIER), hooks.Ready(MemoryRuntime()), hooks.InstanceGone(IDENTIFIER, "a", 1, "killed by SIGTERM", True),
            hooks.InstanceReady(IDENTIFIER, "b", 2, 0.1),
        ):  # fmt: skip
            meter(event)
        self.assertEqual(counted.events[-2:], [(f"local {IDENTIFIER.plugin_id}", 1.0), ("up", 1)])
        self.assertNotIn(("restarts", 1), counted.events)

    def test_upgrade(self) -> None:
        """A plugin of which one version is up is up, whatever becomes of another one."""
        counted, newer = Counted(), PluginIdentifier.parse(f"{IDENTIFIER.plugin_id}:9.9.9@{'cd' * 32}")
        meter = Meter(counted)
        old, new = MemoryRuntime(), MemoryRuntime(identifier=newer)
        for event in (hooks.Starting(IDENTIFIER), hooks.Ready(old), hooks.Starting(newer), hooks.Ready(new), hooks.Stopping(old)):
            meter(event)
        self.assertEqual([value for what, value in counted.events if what != "up"], [0.5, 1, 1, 1, 1])
        self.assertEqual(counted.events[-1], ("up", 1))

    def test_taken_again(self) -> None:
        """A late end of one that was installed again meanwhile does not count the new one out."""
        counted, runtime = Counted(), MemoryRuntime()
        meter = Meter(counted)
        for event in (hooks.Ready(runtime), hooks.Stopping(runtime), hooks.Starting(IDENTIFIER), hooks.Ready(runtime), hooks.Stopped(runtime)):
            meter(event)
        self.assertEqual(counted.events[-2:], [(f"local {IDENTIFIER.plugin_id}", 1.0), ("up", 1)])

    def test_failed_start(self) -> None:
        """A plugin that did not start is down, and was never counted as up."""
        counted = Counted()
        for event in (hooks.Starting(IDENTIFIER), hooks.StartFailed(IDENTIFIER, "no grapes")):
            Meter(counted)(event)
        self.assertEqual([value for what, value in counted.events if what == "up"], [0, 0])
