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
    """
    Debugging connections count themselves.

    A plugin that sleeps is up: the next call starts it. One whose process has died is launching until the next one is ready.
    """

    _metrics: Metrics
    _up: set[PluginIdentifier] = field(factory=set, init=False)
    """In service, whatever its process does."""
    _states: dict[str, dict[PluginIdentifier, float]] = field(factory=dict, init=False)
    """Of the versions that are not down, by plugin id: the figures know no versions, and during an upgrade there are two."""

    def __call__(self, event: hooks.Event) -> None:
        match event:
            case hooks.Starting(identifier):
                self._state(identifier, LAUNCHING)
            case hooks.Ready(runtime) if runtime.kind is RuntimeType.LOCAL:
                self._up.add(runtime.identifier)
                self._state(runtime.identifier, UP)
            case hooks.StartFailed(identifier):
                self._state(identifier, DOWN)
            case hooks.Stopping(runtime) if runtime.kind is RuntimeType.LOCAL:  # not Stopped: it may be up again by then
                self._up.discard(runtime.identifier)
                self._state(runtime.identifier, DOWN)
            case hooks.InstanceReady(identifier) if identifier in self._up:
                self._state(identifier, UP)
            case hooks.InstanceGone(identifier, wanted=False) if identifier in self._up:
                self._metrics.restarted(identifier.plugin_id, LOCAL)  # the runtime starts it again
                self._state(identifier, LAUNCHING)

    def _state(self, identifier: PluginIdentifier, state: float) -> None:
        versions = self._states.setdefault(identifier.plugin_id, {})
        versions[identifier] = state
        self._metrics.runtime(identifier.plugin_id, LOCAL, max(versions.values()))
        self._metrics.plugins(LOCAL, len(self._up))
        if state == DOWN:
            del versions[identifier]
            if not versions:
                del self._states[identifier.plugin_id]
