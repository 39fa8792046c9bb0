"""How a plugin is brought up: from its package to the first heartbeat (local-runtime 12.1, 12.3)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from attrs import define, frozen
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import DaemonError, LaunchFailed
from difyd.runtime import hooks
from difyd.runtime.backoff import Backoffs
from difyd.runtime.interfaces import IPackages, IProgress
from difyd.runtime.launch import Launch
from difyd.runtime.local.child import Command, IChildren
from difyd.runtime.local.environment import BuildFailed, IEnvironments
from difyd.runtime.local.instance import StartFailed
from difyd.runtime.local.places import VENV
from difyd.runtime.local.runtime import LocalRuntime, LocalRuntimes
from difyd.runtime.local.surroundings import Surroundings
from difyd.runtime.slots import Slots

WAITING: Final = "installing heartbeat, waiting for plugin to be ready..."
WAITING_EVERY: Final = 5.0
NOT_READY: Final = "timed out on waiting for plugin to be ready after {}, please contract the administrator to check the logs"
"""Spelled as clients know it."""


@frozen
class Local:
    """What it takes to run plugins on this node; a node of another platform has none of it."""

    packages: IPackages
    environments: IEnvironments
    runtimes: LocalRuntimes
    surroundings: Surroundings
    builds: Slots
    """PLUGIN_LOCAL_LAUNCHING_CONCURRENT: environments that are made at the same time."""
    children: IChildren
    clean: Callable[[], Awaitable[None]]
    """Sweeps what an earlier daemon has left; called once, at the start."""
    sweeps: bool = True
    """PLUGIN_WORKING_PATH_SWEEP: delete the directories of plugins that nobody has installed, too."""


@implementer(IProgress)
class _Nobody:
    """Who waits for a restart is told nothing before its outcome."""

    def info(self, text: str) -> None:
        """See IProgress."""


@define(eq=False)
class Starter:
    """Brings plugins up, one `Launch` at a time for each."""

    log = Logger()

    _clock: IReactorTime
    _local: Local
    _limit: float
    """Seconds that a launch waits for the first heartbeat, once the environment is there."""
    _tell: hooks.Listener
    _backoffs: Backoffs

    async def bring_up(self, launch: Launch) -> LocalRuntime:
        """Everything from the package to the first heartbeat. Raises LaunchFailed; then, and when it is cancelled, nothing of it is left."""
        identifier = launch.identifier
        self._tell(hooks.Starting(identifier))
        try:
            runtime = await self._prepare(launch)
            await self._first_start(runtime, launch)
            if launch.over:  # given up in the very turn in which the plugin became ready
                await runtime.stop(drain=False)
                raise CancelledError
        except CancelledError:
            raise
        except LaunchFailed as why:
            self._failed(identifier, str(why), outside=isinstance(why.__cause__, StartFailed) and why.__cause__.outside)
            raise
        except DaemonError as why:  # of the catalog: no declaration, no package
            self._failed(identifier, str(why))
            raise LaunchFailed(f"failed to launch plugin: {why}") from why
        except Exception as why:
            self.log.failure("launching {identifier} failed", identifier=str(identifier))
            self._failed(identifier, repr(why))
            raise LaunchFailed(f"failed to launch plugin: {why!r}") from why
        return runtime

    async def _prepare(self, launch: Launch) -> LocalRuntime:
        declaration = await self._local.packages.declaration(launch.identifier)
        runner = declaration.view.meta.runner
        if runner.language != "python":
            raise LaunchFailed(f"failed to launch plugin: unsupported language: {runner.language}\nfailed to init environment")
        try:
            directory = await self._local.environments.prepare(launch.identifier, launch, launch.slot)
        except BuildFailed as why:
            raise LaunchFailed(f"failed to launch plugin: {why}\nfailed to init environment") from why
        arguments = (str(directory / VENV / "bin" / "python"), "-m", runner.entrypoint)
        command = Command(arguments, directory, self._local.surroundings.plugin())
        return self._local.runtimes.make(
            launch.identifier, declaration, command, self._backoffs.of(launch.identifier), partial(self._prepare_again, launch.identifier)
        )

    async def _prepare_again(self, identifier: PluginIdentifier) -> None:
        await self._local.environments.prepare(identifier, _Nobody(), self._local.builds.slot(urgent=True))

    async def _first_start(self, runtime: LocalRuntime, launch: Launch) -> None:
        launch.on_haste(runtime.hasten)
        launch.remind(self._clock, WAITING_EVERY, WAITING)
        limit = self._limit
        try:
            await Deferred.fromCoroutine(runtime.start()).addTimeout(limit, self._clock)
        except Exception as why:  # also when it is cancelled: nothing of it may be left
            words = runtime.last_words()
            await runtime.stop(drain=False)
            if isinstance(why, StartFailed):
                raise LaunchFailed(f"failed to launch plugin: {why}") from why
            if isinstance(why, TimeoutError):
                text = NOT_READY.format(go_duration(limit))
                raise LaunchFailed(f"{text}: {words}" if words else text) from why
            raise

    def _failed(self, identifier: PluginIdentifier, cause: str, *, outside: bool = False) -> None:
        self._backoffs.of(identifier).failed(self._clock.seconds(), cause, outside=outside)
        self._tell(hooks.StartFailed(identifier, cause))


def go_duration(seconds: float) -> str:
    """Whole seconds as the reference writes durations: `45s`, `2m0s`, `1h0m5s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
