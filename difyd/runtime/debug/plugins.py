"""All plugins under development on this node: who may come in, what is shown of them, and when it is taken back."""

from collections.abc import Collection, Coroutine
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import DaemonError
from difyd.runtime.debug.interfaces import IAnnouncements, IDebugHost, ILink, LocalPlugins
from difyd.runtime.debug.messages import BUSY, Refusal
from difyd.runtime.debug.plugin import DebugPlugin
from difyd.runtime.debug.submission import Complete, Submission
from difyd.store.threads import Threads
from difyd.telemetry.metrics import Metrics

Key = tuple[str, str]
"""Tenant and plugin id: at most one plugin under development has it."""


@frozen
class Limits:
    """How many plugins may be connected."""

    plugins: int
    """On this node: `PLUGIN_REMOTE_INSTALLING_MAX_CONN`."""
    of_tenant: int | None
    """Of one tenant: `PLUGIN_REMOTE_INSTALLING_MAX_SINGLE_TENANT_CONN`, None unless it is set explicitly."""


@implementer(IAnnouncements)
class Alone:
    """The announcements of a node without others."""

    def announce(self, tenant: str, identifier: PluginIdentifier) -> None: ...

    def withdraw(self, tenant: str, identifier: PluginIdentifier) -> None: ...

    async def elsewhere(self, identifiers: Collection[PluginIdentifier]) -> Collection[PluginIdentifier]:
        return ()


@frozen
class _Shown:
    """What the host has been asked to show."""

    identifier: PluginIdentifier
    installation: str | None
    """None for a shadow."""


@define(eq=False)
class _Place:
    """One plugin id of one tenant, from its first connection until everything of it is taken back."""

    plugin: DebugPlugin
    turn: DeferredLock = field(factory=DeferredLock, init=False)
    """Held while the host works on it."""
    known: bool = field(default=False, init=False)
    """Do calls on this node find it?"""
    since: float = field(default=0.0, init=False)
    """When its newest connection came."""
    shown: _Shown | None = field(default=None, init=False)
    giving_up: IDelayedCall | None = field(default=None, init=False)
    """Runs while the plugin is expected back."""

    @property
    def shadows(self) -> bool:
        """Does it stand before something that the tenant has properly installed?"""
        return self.shown is not None and self.shown.installation is None


@define(eq=False)
class DebugPlugins:
    """
    Lets connections in, and keeps what others know of a plugin (calls, rows, cluster) in step with its connection.

    The newest connection of a plugin id wins. The host's work for it runs in turns, and each turn looks again at who is connected: however
    fast connections come and go, the last one is what is shown in the end.
    """

    log = Logger()

    _clock: IReactorTime
    _threads: Threads
    _host: IDebugHost
    _local: LocalPlugins
    _announcements: IAnnouncements
    _metrics: Metrics
    _limits: Limits
    _grace: float
    """
    Seconds for which a plugin that has gone is expected back: calls wait, nothing is taken back.

    Not one that has only just come, which is not going to stay; nor a shadow, which leaves no gap.
    """
    _links: dict[ILink, Key] = field(factory=dict, init=False)
    """Those that take one of the limited places."""
    _places: dict[Key, _Place] = field(factory=dict, init=False)
    _working: int = field(default=0, init=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._host.watch(self.changed)

    async def admit(self, link: ILink, submission: Submission) -> PluginIdentifier:
        """
        Show the plugin that `link` has handed in to its tenant, and give the calls to it.

        Returns when both have happened, or when the link is gone or superseded by then. Raises Refusal. To be brought to its end also when
        the link breaks meanwhile; `leave` then undoes what it did.
        """
        key = (submission.tenant, submission.plugin_id)
        self._take_place(link, key)
        try:
            complete = await self._threads.run(submission.complete_blocking)
            await self._host.keep(complete.assets)
            if not link.gone:
                await self._show(link, key, complete)
            return complete.identifier
        except Refusal:
            self.leave(link)
            raise
        except DaemonError as why:
            self.leave(link)
            raise Refusal(f"failed to install debugging plugin: {why}") from why

    def leave(self, link: ILink) -> None:
        """`link` is gone. Idempotent, and nothing for a link that never came in."""
        key = self._links.pop(link, None)
        place = self._places.get(key) if key else None
        if place is None or not place.plugin.detach(link):
            return
        self._announcements.withdraw(place.plugin.tenant, place.plugin.identifier)
        self._count(place.plugin, 0.0)
        stayed = self._clock.seconds() - place.since >= self._grace
        if self._grace and stayed and place.shown is not None and place.shown.installation is not None:
            place.giving_up = self._clock.callLater(self._grace, self._give_up, place)
        else:
            self._give_up(place)

    def changed(self, tenant: str, plugin_id: str) -> None:
        """The tenant has something else installed: a build that has shadowed it may have nothing to stand before any more."""
        place = self._places.get((tenant, plugin_id))
        if place is not None and place.shadows:
            self._spawn(self._uncover(place))

    async def stop(self) -> None:
        """Close all links and take back what is shown of their plugins; returns when that has happened."""
        self._grace = 0.0
        for link in list(self._links):
            link.close()
            self.leave(link)
        for place in list(self._places.values()):
            if place.giving_up is not None and place.giving_up.active():
                place.giving_up.cancel()
                self._give_up(place)
        if self._working:
            idle: Deferred[None] = Deferred(self._idle.remove)
            self._idle.append(idle)
            await idle

    def _take_place(self, link: ILink, key: Key) -> None:
        """A plugin that is connected already, or being let in, has its place."""
        taken = set(self._links.values())
        if key not in taken:
            limit, tenant = self._limits.of_tenant, key[0]
            if len(taken) >= self._limits.plugins or (limit is not None and sum(owner == tenant for owner, _ in taken) >= limit):
                raise Refusal(BUSY)
        self._links[link] = key

    async def _show(self, link: ILink, key: Key, complete: Complete) -> None:
        """Calls first: whoever sees the plugin in a list can call it."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(DebugPlugin(complete.tenant, complete.identifier, complete.declaration))
        self._attach(place, link, complete)
        await place.turn.acquire()
        try:
            if place.plugin.carried_by(link):
                installation = await self._host.install(complete.tenant, complete.identifier, complete.declaration)
                place.shown = _Shown(complete.identifier, installation)
        finally:
            place.turn.release()

    def _attach(self, place: _Place, link: ILink, complete: Complete) -> None:
        plugin = place.plugin
        if place.giving_up is not None and place.giving_up.active():
            place.giving_up.cancel()
        if plugin.connected:
            self._announcements.withdraw(plugin.tenant, plugin.identifier)
        if place.known and plugin.identifier != complete.identifier:
            self._forget(place)  # while it still has the name under which it is known
        plugin.attach(link, complete.identifier, complete.declaration)
        place.since = self._clock.seconds()
        if not place.known:
            place.known = True
            self._local.connected(plugin.tenant, plugin)
        self._announcements.announce(plugin.tenant, plugin.identifier)
        self._count(plugin, 1.0)

    def _give_up(self, place: _Place) -> None:
        place.plugin.abandon()
        self._forget(place)
        self._spawn(self._take_back(place))

    def _forget(self, place: _Place) -> None:
        place.known = False
        self._local.disconnected(place.plugin.tenant, place.plugin)

    async def _uncover(self, place: _Place) -> None:
        """Once what a build has shadowed is uninstalled, the build is shown by itself; else nothing of it could be called or seen."""
        plugin = place.plugin
        await place.turn.acquire()
        try:
            if plugin.connected and place.shadows:
                installation = await self._host.install(plugin.tenant, plugin.identifier, plugin.declaration)
                place.shown = _Shown(plugin.identifier, installation)
        except DaemonError as why:
            self.log.error(
                "{identifier} of {tenant} is connected, but cannot be shown: {why}",
                identifier=str(plugin.identifier), tenant=plugin.tenant, why=str(why),
            )  # fmt: skip
        finally:
            place.turn.release()

    async def _take_back(self, place: _Place) -> None:
        plugin = place.plugin
        await place.turn.acquire()
        try:
            if plugin.connected:
                return  # somebody came meanwhile, and what is shown is theirs
            shown, place.shown = place.shown, None
            if shown is not None and shown.installation is not None:
                await self._host.uninstall(plugin.tenant, shown.identifier, shown.installation)
            if not plugin.connected:
                self._places.pop((plugin.tenant, plugin.identifier.plugin_id), None)
        finally:
            place.turn.release()

    def _count(self, plugin: DebugPlugin, state: float) -> None:
        self._metrics.runtime(plugin.identifier.plugin_id, RuntimeType.REMOTE, state)
        self._metrics.plugins(RuntimeType.REMOTE, sum(place.plugin.connected for place in self._places.values()))

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        self._working += 1
        Deferred.fromCoroutine(work).addErrback(self._failed).addCallback(self._done)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("taking back a plugin under development failed", failure)

    def _done(self, _: None) -> None:
        self._working -= 1
        if not self._working:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)
