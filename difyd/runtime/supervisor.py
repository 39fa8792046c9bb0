"""
All plugins of this node: who runs, who is to run, who must end (local-runtime 12; state-and-cluster 5.4, 5.5).

A plugin is in at most one of these places: `_running`, by its identifier; `_launches`, on its way there; `_retiring`, taken out of service and
not gone yet. Only the object that is in a place may leave it: a late end of one runtime never touches its successor.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from difyd.background import Background
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import DaemonError, LaunchFailed, NoRuntime, ShuttingDown
from difyd.runtime import hooks
from difyd.runtime.backoff import Backoff, Backoffs
from difyd.runtime.interfaces import ILauncher, IPluginRuntime, IProgress, IRuntimes, IShadow
from difyd.runtime.launch import Launch
from difyd.runtime.local.runtime import LocalRuntime, Unavailable
from difyd.runtime.shadows import Shadows
from difyd.runtime.starter import NOT_READY, Local, Starter, go_duration

ROUND: Final = 30.0
"""Seconds between two looks at what is installed, from the end of one to the start of the next."""
SECOND_LOOK: Final = 5.0
"""Seconds after which a plugin that seems to be uninstalled is looked for again, before it is stopped."""
RETURN: Final = 1.0
"""Seconds for which a plugin under development that is listed, and not connected, is expected: the daemon may have just restarted."""


@frozen
class Patience:
    """What the operator says about waiting; seconds."""

    startup: float
    """PLUGIN_STARTUP_WAIT: how long a call is held for a plugin that is not up."""
    ready: float
    """PYTHON_ENV_INIT_TIMEOUT: how long a launch waits for the first heartbeat, once the environment is there."""


@implementer(IRuntimes, ILauncher)
class Supervisor(Service):
    """
    Finds the runtime for a call, launches and retires plugins, and keeps what is installed running.

    Started, it brings up all installed plugins; stopped, it ends them all. Debugging connections register their runtimes here and answer
    before installed ones.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, local: Local | None, patience: Patience, events: hooks.Hooks, jitter: Callable[[], float]) -> None:
        self.hooks = events
        self._clock, self._local, self._patience = clock, local, patience
        self._running: dict[PluginIdentifier, LocalRuntime] = {}
        self._launches: dict[PluginIdentifier, Launch] = {}
        self._retiring: set[LocalRuntime] = set()
        self._shadows = Shadows()
        self._held: set[Deferred[IPluginRuntime]] = set()
        """Calls that wait for a plugin."""
        self._reserved: Counter[PluginIdentifier] = Counter()
        self._backoffs = Backoffs(jitter)
        self._starter = None if local is None else Starter(clock, local, patience.ready, events.tell, self._backoffs)
        self._background = Background()
        self._closing = False

    # service --------------------------------------------------------------------------------------------------------------------------

    def startService(self) -> None:
        Service.startService(self)
        if self._local is not None:
            self._background.spawn("the watch over installed plugins", self._watch(self._local))

    def stopService(self) -> Deferred[None]:
        """Fires when no process of a plugin runs any more. Open calls are cut: whoever wants them finished has waited before."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def end_held(self) -> None:
        """The daemon is about to stop: calls that still wait for a plugin hear so."""
        self._closing = True
        for held in list(self._held):
            held.cancel()

    def kill_now(self) -> None:
        """SIGKILL to everything that was started here, for a daemon that is about to end without more ado."""
        self._closing = True
        if self._local is not None:
            self._local.children.kill_all()

    async def _stop(self) -> None:
        self._closing = True
        await self._background.stop()
        launches = [launch.when_over() for launch in self._launches.values()]
        for launch in list(self._launches.values()):
            launch.give_up("the plugin daemon is shutting down")
        # All at once: each may need its grace period. What is raised was raised by us, and concerns nobody else.
        stops = [Deferred.fromCoroutine(self._end(runtime)) for runtime in {*self._running.values(), *self._retiring}]
        self._running.clear()
        for gone in (*launches, *stops):
            await gone

    async def _end(self, runtime: LocalRuntime) -> None:
        if runtime not in self._retiring:
            self.hooks.tell(hooks.Stopping(runtime))
        try:
            await runtime.stop(drain=False)
        except Exception:
            self.log.failure("{identifier} could not be stopped", identifier=str(runtime.identifier))
        self.hooks.tell(hooks.Stopped(runtime))

    # calls (IRuntimes) ----------------------------------------------------------------------------------------------------------------

    async def find(self, tenant: str, identifier: PluginIdentifier, kind: RuntimeType) -> IPluginRuntime:
        shadow = self._shadows.find(tenant, identifier, kind)
        if shadow is not None:
            return shadow
        runtime = self._running.get(identifier)
        if runtime is not None and runtime.available:
            return runtime
        return await self._hold(tenant, identifier, kind)

    async def _hold(self, tenant: str, identifier: PluginIdentifier, kind: RuntimeType) -> IPluginRuntime:
        """Wait for a plugin that is not up, as long as a caller is made to wait."""
        if self._closing:
            raise ShuttingDown
        if kind is RuntimeType.LOCAL and self._local is not None:
            held, limit = Deferred.fromCoroutine(self._demand(self._local, identifier)), self._patience.startup
        elif kind is RuntimeType.REMOTE and tenant:
            held, limit = self._shadows.expect(tenant, identifier.plugin_id), RETURN
        else:
            raise NoRuntime
        self._held.add(held)
        try:
            return await held.addTimeout(limit, self._clock)
        except CancelledError:
            if self._closing:
                raise ShuttingDown from None
            raise
        except TimeoutError:
            if kind is RuntimeType.REMOTE:
                raise NoRuntime("the plugin is under development, and not connected") from None
            launch = self._launches.get(identifier)
            cause = self._backoffs.of(identifier).cause or (launch.latest if launch is not None else "")
            waited = f"the plugin was not ready within {limit:g} seconds"
            raise NoRuntime(f"{waited}: {cause}" if cause else waited) from None
        except (Unavailable, DaemonError) as why:
            raise NoRuntime(str(why)) from why
        finally:
            self._held.discard(held)

    async def _demand(self, local: Local, identifier: PluginIdentifier) -> IPluginRuntime:
        """
        The runtime of a plugin that somebody calls, once it is available.

        One failed start, or one that was killed, is ridden over; the caller is told once the next attempt would hardly fare better.
        """
        backoff = self._backoffs.of(identifier)
        while (runtime := self._running.get(identifier)) is None:
            launch = self._launches.get(identifier)
            if launch is None or launch.over:
                if pause := backoff.wait(self._clock.seconds()):
                    await self._sit_out(backoff, pause)
                    continue
                if not await local.packages.in_use(identifier):  # uninstalled meanwhile, or named by a caller who knows no tenant
                    self._backoffs.forget(identifier)
                    raise Unavailable("nobody has this version installed")
                if identifier in self._running:
                    continue  # somebody else was quicker
                launch = await self._launch(local, identifier)
            launch.kept = True
            launch.hasten()
            with suppress(LaunchFailed):  # its cause is in `backoff`, where the pause finds it
                await launch.join()
            if launch.given_up:
                raise Unavailable(launch.given_up)
        await runtime.when_available()
        return runtime

    async def _sit_out(self, backoff: Backoff, pause: float) -> None:
        """The pause after a failure, if that is worth waiting for."""
        if backoff.in_vain(self._clock.seconds(), self._patience.startup):
            raise Unavailable(backoff.cause)
        await deferLater(self._clock, pause)
        if self._closing:
            raise ShuttingDown

    # launches (ILauncher) -------------------------------------------------------------------------------------------------------------

    async def launch(self, identifier: PluginIdentifier, progress: IProgress) -> None:
        if self._local is None or self._closing:
            raise LaunchFailed(f"failed to launch plugin: {ShuttingDown() if self._closing else 'this node runs no plugins'}")
        runtime = self._running.get(identifier)
        if runtime is not None:
            runtime.try_now()
            await self._wait_until_available(runtime)
            return
        launch = self._launches.get(identifier)
        if launch is None or launch.over:
            self._backoffs.of(identifier).reset()
            launch = await self._launch(self._local, identifier)
        launch.hasten()
        await launch.join(progress)

    async def _wait_until_available(self, runtime: LocalRuntime) -> None:
        """An install of a plugin that other tenants have; it may be restarting just now."""
        try:
            await Deferred.fromCoroutine(runtime.when_available()).addTimeout(self._patience.ready, self._clock)
        except (Unavailable, TimeoutError) as why:
            if isinstance(why, TimeoutError):
                raise LaunchFailed(NOT_READY.format(go_duration(self._patience.ready))) from why
            raise LaunchFailed(f"failed to launch plugin: {why}") from why

    def reserve(self, identifier: PluginIdentifier) -> None:
        self._reserved[identifier] += 1

    def release(self, identifier: PluginIdentifier) -> None:
        self._reserved[identifier] -= 1
        if self._reserved[identifier] <= 0:
            del self._reserved[identifier]

    def retire(self, identifier: PluginIdentifier) -> None:
        if self._local is None or identifier in self._reserved:
            return  # whoever installs it just now decides at the end; the watch looks too
        self._backoffs.forget(identifier)
        if (launch := self._launches.get(identifier)) is not None:
            launch.give_up("it was uninstalled meanwhile")
        runtime = self._running.pop(identifier, None)
        if runtime is not None:
            self._retiring.add(runtime)
        self._background.spawn("clearing a plugin away", self._retire(self._local, identifier, runtime))

    async def _retire(self, local: Local, identifier: PluginIdentifier, runtime: LocalRuntime | None) -> None:
        if runtime is not None:
            self.hooks.tell(hooks.Stopping(runtime))
            await runtime.stop(drain=True)
            self._retiring.discard(runtime)
            self.hooks.tell(hooks.Stopped(runtime))
        if not self._is_wanted(identifier):
            await local.environments.remove(identifier)

    def _is_wanted(self, identifier: PluginIdentifier) -> bool:
        """Has somebody installed it again since?"""
        launch = self._launches.get(identifier)
        return identifier in self._running or identifier in self._reserved or (launch is not None and not launch.over)

    async def _launch(self, local: Local, identifier: PluginIdentifier) -> Launch:
        """A launch that has just begun, or one that somebody else has begun while we waited for the end of an earlier one."""
        while (old := self._launches.get(identifier)) is not None:
            if not old.over:
                return old
            await old.when_over()
        launch = self._launches[identifier] = Launch(identifier, local.builds.slot())
        launch.begin(self._bring_up(launch))
        return launch

    async def _bring_up(self, launch: Launch) -> LocalRuntime:
        assert self._starter is not None
        try:
            runtime = await self._starter.bring_up(launch)
        finally:
            del self._launches[launch.identifier]
        self._running[launch.identifier] = runtime
        self.hooks.tell(hooks.Ready(runtime))
        return runtime

    # the watch over what is installed -------------------------------------------------------------------------------------------------

    async def _watch(self, local: Local) -> None:
        try:
            await local.clean()
        except CancelledError:
            raise
        except Exception:
            self.log.failure("what an earlier run has left could not be swept")
        if local.sweeps:  # beside the first starts: nobody waits for it
            self._background.spawn("the sweep of working directories", self._sweep(local))
        while True:
            try:
                await self._round(local)
            except CancelledError:
                raise
            except DaemonError as why:
                self.log.warn("cannot tell which plugins are installed: {why}", why=str(why))
            except Exception:
                self.log.failure("a look at the installed plugins failed")
            await deferLater(self._clock, ROUND)

    async def _sweep(self, local: Local) -> None:
        """
        Delete the working directories of plugins that were uninstalled while this node was away.

        A database that names no plugin at all is more often the wrong one than one of a daemon with directories: then nothing is touched.
        """
        try:
            named = await local.packages.named()
        except DaemonError as why:
            self.log.warn("cannot tell which working directories are left over: {why}", why=str(why))
            return
        for identifier in await local.environments.left_over(named) if named else []:
            if not self._is_wanted(identifier):
                self.log.info("nobody has {identifier} installed, its working directory is deleted", identifier=str(identifier))
                await local.environments.remove(identifier)

    async def _round(self, local: Local) -> None:
        """
        Start what is installed and does not run, end what runs and is not installed any more. Waits for none of it.

        While the list was fetched an install may have come to its end, so only what ran before, and was nobody's install then and now, is
        judged by it. What is missing is looked for a second time: a storage may be slow to show what it has (state-and-cluster 12.2).
        """
        before = {identifier: runtime for identifier, runtime in self._running.items() if identifier not in self._reserved}
        installed = set(await local.packages.installed())
        for identifier in installed:
            if self._is_due(identifier):
                launch = await self._launch(local, identifier)
                launch.kept = True
        if missing := before.keys() - installed:
            await deferLater(self._clock, SECOND_LOOK)
            missing -= set(await local.packages.installed())
        for identifier in missing:
            if self._running.get(identifier) is before[identifier]:
                self.retire(identifier)

    def _is_due(self, identifier: PluginIdentifier) -> bool:
        if identifier in self._running or identifier in self._launches or identifier in self._reserved:
            return False
        backoff = self._backoffs.of(identifier)
        return not (backoff.given_up or backoff.wait(self._clock.seconds()))

    # debugging connections ------------------------------------------------------------------------------------------------------------

    def connected(self, tenant: str, runtime: IShadow) -> None:
        """From now on `runtime` answers the calls of `tenant` to its plugin id, whatever is installed under it; the latest one counts."""
        self._shadows.add(tenant, runtime)
        self.hooks.tell(hooks.Connected(tenant, runtime))

    def disconnected(self, tenant: str, runtime: IShadow) -> None:
        """It is gone: what is installed answers again. Does nothing to a later connection of the same plugin."""
        self._shadows.remove(tenant, runtime)
        self.hooks.tell(hooks.Disconnected(tenant, runtime))

    # for people who look --------------------------------------------------------------------------------------------------------------

    @property
    def launching(self) -> int:
        """Plugins that are being brought up."""
        return len(self._launches)

    @property
    def runtimes(self) -> list[LocalRuntime]:
        """All that are in service."""
        return list(self._running.values())
