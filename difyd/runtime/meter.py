"""The listener that counts what happens to installed plugins (configuration 7, local-runtime 13.7)."""

from typing import Final

from attrs import define, field

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.runtime import hooks
from difyd.telemetry.metrics import Metrics

LOCAL: Final = RuntimeType.LOCAL.value
UP, LAUNCHING, DOWN = 1.0, 0.5, 0.0


@define(eq=False)
class Meter:
    """Debugging connections count themselves."""

    _metrics: Metrics
    _up: set[PluginIdentifier] = field(factory=set, init=False)

    def __call__(self, event: hooks.Event) -> None:
        match event:
            case hooks.Starting(identifier):
                self._state(identifier, LAUNCHING)
            case hooks.Ready(runtime) if runtime.kind is RuntimeType.LOCAL:
                self._up.add(runtime.identifier)
                self._state(runtime.identifier, UP)
            case hooks.StartFailed(identifier):
                self._state(identifier, DOWN)
            case hooks.Stopping(runtime) | hooks.Stopped(runtime) if runtime.kind is RuntimeType.LOCAL:
                self._up.discard(runtime.identifier)
                self._state(runtime.identifier, DOWN)
            case hooks.InstanceGone(identifier, wanted=False) if identifier in self._up:
                self._metrics.restarted(identifier.plugin_id, LOCAL)  # died after it was up: the runtime starts it again

    def _state(self, identifier: PluginIdentifier, state: float) -> None:
        self._metrics.runtime(identifier.plugin_id, LOCAL, state)
        self._metrics.plugins(LOCAL, len(self._up))
