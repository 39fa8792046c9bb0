"""
What happens to plugins on this node, for whoever wants to know: logs, metrics, the cluster, the console (local-runtime 13).

One value for each thing that can happen; the docstrings name the hooks of the chapter. A listener is a function of one argument that returns
at once and picks out what concerns it. What happens for every chunk of an answer is not here.
"""

from collections.abc import Callable

from attrs import define, field, frozen
from twisted.logger import Logger

from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.interfaces import IPluginRuntime


@frozen
class Starting:
    """A launch begins: environment, then process. OnLocalRuntimeStarting."""

    identifier: PluginIdentifier


@frozen
class Ready:
    """A runtime has its first process ready; not again after restarts. OnLocalRuntimeReady."""

    runtime: IPluginRuntime


@frozen
class StartFailed:
    """A launch failed before the first readiness; nothing of the plugin runs. OnLocalRuntimeStartFailed."""

    identifier: PluginIdentifier
    cause: str


@frozen
class Stopping:
    """A runtime was taken out of service: nothing starts or restarts it any more. OnRuntimeStopSchedule, OnLocalRuntimeStop."""

    runtime: IPluginRuntime


@frozen
class Stopped:
    """Its last process is gone. OnRuntimeClose, OnLocalRuntimeStopped."""

    runtime: IPluginRuntime


@frozen
class Scaled:
    """The number of processes that are wanted has changed, to this. OnInstanceScaleUp and -Down, OnLocalRuntimeScaleUp and -Down."""

    runtime: IPluginRuntime
    wanted: int


@frozen
class Connected:
    """A plugin under development finished its registration. OnDebuggingRuntimeConnected."""

    tenant: str
    runtime: IPluginRuntime


@frozen
class Disconnected:
    """Its connection is lost. OnDebuggingRuntimeDisconnected."""

    tenant: str
    runtime: IPluginRuntime


@frozen
class InstanceStarting:
    """A process is about to be started. OnInstanceStarting."""

    identifier: PluginIdentifier
    instance: str
    """Eight characters that tell one process of a plugin from the next."""


@frozen
class InstanceReady:
    """Its first heartbeat. OnInstanceReady."""

    identifier: PluginIdentifier
    instance: str
    pid: int
    seconds: float
    """Since it was started."""


@frozen
class InstanceFailed:
    """It ended before its first heartbeat, or was silent for too long; once, with the real cause. OnInstanceLaunchFailed."""

    identifier: PluginIdentifier
    instance: str
    cause: str


@frozen
class InstanceGone:
    """It is reaped and its pipes are read to their end; once for every process that was started. OnInstanceShutdown."""

    identifier: PluginIdentifier
    instance: str
    pid: int
    how: str
    wanted: bool
    """We ended it; otherwise it died."""


@frozen
class InstanceHeartbeat:
    """OnInstanceHeartbeat."""

    identifier: PluginIdentifier
    instance: str


@frozen
class InstanceLogged:
    """A `log` event of the plugin. OnInstanceLog, OnLocalRuntimeInstanceLog."""

    identifier: PluginIdentifier
    instance: str
    level: str
    message: str
    timestamp: float | None


@frozen
class InstanceComplained:
    """The plugin could not use a line of ours, or we one of its own. OnInstanceErrorLog."""

    identifier: PluginIdentifier
    instance: str
    detail: str


@frozen
class InstanceWarning:
    """It has been silent for long. OnInstanceWarningLog."""

    identifier: PluginIdentifier
    instance: str
    text: str


@frozen
class InstancePrinted:
    """Output that is no message; left out while there is too much of it. OnInstanceStdout."""

    identifier: PluginIdentifier
    instance: str
    text: str


@frozen
class InstanceErrorLine:
    """A line on standard error; left out while there are too many. OnInstanceStderr."""

    identifier: PluginIdentifier
    instance: str
    text: str


Event = (
    Starting
    | Ready
    | StartFailed
    | Stopping
    | Stopped
    | Scaled
    | Connected
    | Disconnected
    | InstanceStarting
    | InstanceReady
    | InstanceFailed
    | InstanceGone
    | InstanceHeartbeat
    | InstanceLogged
    | InstanceComplained
    | InstanceWarning
    | InstancePrinted
    | InstanceErrorLine
)
Listener = Callable[[Event], None]


@define(eq=False)
class Hooks:
    """Tells every listener, in the order in which they were added. One that fails is logged and hurts nobody else."""

    log = Logger()

    _listeners: list[Listener] = field(factory=list, init=False)

    def add(self, listener: Listener) -> None:
        """May be called at any time, also by a listener."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                self.log.failure("a listener failed on {event}", event=type(event).__name__)
