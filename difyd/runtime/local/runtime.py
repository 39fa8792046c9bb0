"""An installed plugin that runs on this node (local-runtime 8, 11)."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.background import Background
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import ConnectionClosed, DaemonError, WriteFailed
from difyd.runtime import hooks
from difyd.runtime.backoff import Backoff
from difyd.runtime.interfaces import IChannel, IPluginRuntime, ISession
from difyd.runtime.local.channel import Channel
from difyd.runtime.local.child import Command, IChildren
from difyd.runtime.local.instance import Instance, Limits, NotTaken, StartFailed
from difyd.runtime.slots import Slot, Slots

LONG_START: Final = 10.0
"""Seconds after which a process that is not ready no longer counts as starting: it waits for something, and others may have its place."""


class Status(StrEnum):
    """The states of a runtime, as the chapter spells them (11.1); `asleep` is ours."""

    PENDING = "pending"
    LAUNCHING = "launching"
    ACTIVE = "active"
    RESTARTING = "restarting"
    ASLEEP = "asleep"
    """No process, since nobody called for a while; the next call starts one."""
    STOPPED = "stopped"


class Unavailable(Exception):
    """No process can take a call, and none is about to. The text is the cause."""


@frozen
class LocalRuntimes:
    """Makes runtimes: what all of them have in common."""

    clock: IReactorTime
    children: IChildren
    starts: Slots
    """How many processes may be starting at a time."""
    limits: Limits
    tell: hooks.Listener
    idle: float = 0.0
    """PLUGIN_IDLE_TIMEOUT: seconds without a call after which the process is stopped; 0: never."""

    def make(
        self,
        identifier: PluginIdentifier,
        declaration: Declaration,
        command: Command,
        backoff: Backoff,
        prepare: Callable[[], Awaitable[object]],
    ) -> "LocalRuntime":
        return LocalRuntime(identifier, declaration, self, command, backoff, prepare)


@implementer(IPluginRuntime)
@define(eq=False)
class LocalRuntime:
    """
    One version of a plugin, kept running from `start` to `stop`.

    For each process that is wanted there is one `_keep`, which starts it, waits for its end and starts the next; so there is never more than
    one process for each, and stopping is cancelling. There is one runtime for an identifier at a time; the supervisor sees to that.
    """

    identifier: PluginIdentifier
    declaration: Declaration = field(repr=False)
    _shared: LocalRuntimes = field(repr=False)
    _command: Command = field(repr=False)
    _backoff: Backoff = field(repr=False)
    _prepare: Callable[[], Awaitable[object]] = field(repr=False)
    """Called before a start that follows a failed one: makes the working directory anew if somebody has deleted it. Raises DaemonError."""
    kind: RuntimeType = field(default=RuntimeType.LOCAL, init=False)
    status: Status = field(default=Status.PENDING, init=False)
    wanted: int = field(default=1, init=False)
    """Processes."""
    restarts: int = field(default=0, init=False)
    _ready: list[Instance] = field(factory=list, init=False)
    _alive: set[Instance] = field(factory=set, init=False)
    """All that are not gone: starting, ready or on their way out."""
    _waiting: set[Deferred[None]] = field(factory=set, init=False)
    """Calls that wait for a process."""
    _lost: dict[Instance, Deferred[None]] = field(factory=dict, init=False)
    """The keepers of instances that are ready, each waiting for the end of its own."""
    _mourned: Instance | None = field(default=None, init=False)
    """The one whose death is the latest trouble; what it died of is known for certain when it is gone."""
    _keepers: Background = field(factory=Background, init=False)
    _slot: Slot | None = field(default=None, init=False)
    _urgent: bool = field(default=False, init=False)
    _pausing: IDelayedCall | None = field(default=None, init=False)
    """The end of the pause before the next attempt."""
    _idle_check: IDelayedCall | None = field(default=None, init=False)

    def last_words(self) -> str:
        """What its processes have said on standard error a moment ago."""
        return "".join(instance.words() for instance in self._alive)

    # calls ----------------------------------------------------------------------------------------------------------------------------

    @property
    def available(self) -> bool:
        """Can it take a call at once?"""
        return bool(self._ready)

    async def open(self, session: ISession) -> IChannel:
        channel = self._open_now(session)
        if channel is not None:
            return channel
        return await self._open_within_window(session)

    async def when_available(self) -> None:
        """
        Returns when a process can take calls; wakes a plugin that sleeps.

        Raises Unavailable with the cause when the plugin is stopped, or when the next attempt to start it is not worth waiting for. While one
        is made, its outcome is waited for.
        """
        if self._ready:
            return
        if self.status is Status.STOPPED:
            raise Unavailable("the plugin is being stopped")
        if self._in_vain():
            raise Unavailable(self._backoff.cause)
        self.hasten()
        waiter: Deferred[None] = Deferred(self._waiting.discard)
        self._waiting.add(waiter)
        if self.status is Status.ASLEEP:
            self._wake()
        await waiter

    def hasten(self) -> None:
        """Somebody waits for it: let it start before others."""
        self._urgent = True
        if self._slot is not None:
            self._slot.hasten()

    def try_now(self) -> None:
        """Somebody installs the plugin just now: earlier failures count no more, and the next attempt is not waited for."""
        self._backoff.reset()
        pausing, self._pausing = self._pausing, None
        if pausing is not None:
            pausing.reset(0)

    def _open_now(self, session: ISession) -> Channel | None:
        """On the instance with the fewest open calls."""
        while self._ready:
            instance = self._ready[0] if len(self._ready) == 1 else min(self._ready, key=_load)
            try:
                return instance.open(session)
            except NotTaken:
                continue  # it has withdrawn by that
        return None

    async def _open_within_window(self, session: ISession) -> Channel:
        try:
            return await Deferred.fromCoroutine(self._open_late(session)).addTimeout(self._shared.limits.window, self._shared.clock)
        except (TimeoutError, Unavailable) as why:
            raise WriteFailed(str(why) if isinstance(why, Unavailable) else self._backoff.cause or "no proper instance") from None

    async def _open_late(self, session: ISession) -> Channel:
        while True:
            await self.when_available()
            channel = self._open_now(session)
            if channel is not None:
                return channel

    def _orphaned(self, channels: list[Channel]) -> None:
        for channel in channels:
            self._keepers.spawn("giving a call to the next process", self._reopen(channel))

    async def _reopen(self, orphan: Channel) -> None:
        """
        Open a call again whose process died before it had read the request; its caller notices nothing but the wait, which may be as long as
        that of one who came a moment later and found no process at all.
        """
        limits = self._shared.limits
        try:
            await Deferred.fromCoroutine(self._move(orphan)).addTimeout(max(limits.window, limits.hold), self._shared.clock)
        except CancelledError:
            orphan.session.broken(ConnectionClosed())
            raise
        except (TimeoutError, Unavailable, WriteFailed):
            orphan.session.broken(ConnectionClosed())

    async def _move(self, orphan: Channel) -> None:
        while not orphan.closed:
            await self.when_available()
            if not orphan.closed and (channel := self._open_now(orphan.session)) is not None:
                orphan.move_to(channel)
                return

    # life -----------------------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """
        Start the first process; returns when it is ready, and keeps it running from then on.

        Raises StartFailed when it ends before; nothing is tried again then. Cancelling leaves it as it is: `stop` it.
        """
        self.status = Status.LAUNCHING
        self._shared.tell(hooks.Scaled(self, self.wanted))
        instance = await self._attempt()
        self._keepers.spawn("keeping a plugin running", self._keep(instance))
        self._watch_idleness(self._shared.idle)

    async def stop(self, *, drain: bool) -> None:
        """
        Take no more calls, start nothing more, end all processes; returns when they are gone.

        With `drain` open calls are finished first, within the limit; otherwise they hear at once that their connection is closed. A second
        `stop` without it cuts the first one short.
        """
        self.status = Status.STOPPED
        if self._idle_check is not None and self._idle_check.active():
            self._idle_check.cancel()
        for instance in list(self._alive):
            if drain:
                instance.drain()
            else:
                instance.stop()
        self._tell_waiting("the plugin is being stopped")
        await self._keepers.stop()
        for instance in list(self._alive):
            await instance.when_gone()

    async def _keep(self, instance: Instance | None) -> None:
        """Keep one process running: `instance`, or without one the first that can be started."""
        delay = 0.0
        while True:
            if instance is None:
                instance = await self._succeed(delay)
            if instance is not None:
                await self._when_lost(instance)
            if instance is None or self.status in (Status.STOPPED, Status.ASLEEP):
                return
            self.restarts += 1
            if not self._ready:
                self.status = Status.RESTARTING
            delay = self._backoff.died(self._shared.clock.seconds(), instance.lived, instance.cause())
            self._mourned, instance = instance, None

    async def _succeed(self, delay: float) -> Instance | None:
        """Start a process after `delay` seconds, and again after growing pauses until one is ready; None when none is wanted any more."""
        doubtful = False  # is something the matter with the working directory?
        while self.status is not Status.STOPPED:
            if self._in_vain():
                self._tell_waiting(self._backoff.cause)
            if delay:
                await self._pause(delay)
            try:
                if doubtful:
                    await self._prepare()
                return await self._attempt()
            except (StartFailed, DaemonError) as why:
                doubtful = not (isinstance(why, StartFailed) and why.outside)
                delay = self._backoff.failed(self._shared.clock.seconds(), str(why), outside=not doubtful)
                self._mourned = None
        return None

    def _in_vain(self) -> bool:
        return self._backoff.in_vain(self._shared.clock.seconds(), self._shared.limits.hold)

    async def _pause(self, seconds: float) -> None:
        over: Deferred[None] = Deferred(lambda _: pausing.cancel())
        pausing = self._pausing = self._shared.clock.callLater(seconds, over.callback, None)
        try:
            await over
        finally:
            self._pausing = None

    async def _attempt(self) -> Instance:
        """Start one process; returns it when it is ready. Raises StartFailed."""
        slot = self._slot = self._shared.starts.slot(urgent=self._urgent)
        try:
            await slot.take()
            long = self._shared.clock.callLater(LONG_START, slot.leave)
            try:
                instance = self._new_instance()
                await instance.start(self._shared.children, self._command)
            finally:
                if long.active():
                    long.cancel()
        finally:
            slot.leave()
            self._slot, self._urgent = None, False
        if instance.taking:  # it may have died since
            self.status = Status.ACTIVE
            self._mourned = None
            self._backoff.started()
            self._ready.append(instance)
            self._tell_waiting(None)
        return instance

    def _new_instance(self) -> Instance:
        shared = self._shared
        instance = Instance(self.identifier, shared.clock, shared.limits, shared.tell, self._withdrawn, self._orphaned)
        self._alive.add(instance)
        instance.when_gone().addCallback(lambda _: self._gone(instance))
        return instance

    def _gone(self, instance: Instance) -> None:
        self._alive.discard(instance)
        if instance is self._mourned:
            self._backoff.cause = instance.cause()

    def _withdrawn(self, instance: Instance) -> None:
        """It takes no more calls: none may go there from now on, and its keeper has something to do."""
        if instance in self._ready:
            self._ready.remove(instance)
        lost = self._lost.pop(instance, None)
        if lost is not None:
            lost.callback(None)

    def _when_lost(self, instance: Instance) -> Deferred[None]:
        lost: Deferred[None] = Deferred(lambda _: self._forget(instance))
        if instance.taking:
            self._lost[instance] = lost
        else:
            lost.callback(None)
        return lost

    def _forget(self, instance: Instance) -> None:
        self._lost.pop(instance, None)

    def _tell_waiting(self, cause: str | None) -> None:
        """
        Let those who wait go on, or tell them that it is in vain. In a turn of its own: one of them may stop this runtime, and a coroutine
        that is just running, as the one that calls this may be, cannot be cancelled.
        """
        waiting, self._waiting = self._waiting, set()
        if waiting:
            self._shared.clock.callLater(0, _release, waiting, cause)

    # idleness -------------------------------------------------------------------------------------------------------------------------

    def _watch_idleness(self, seconds: float) -> None:
        if self._shared.idle:
            self._idle_check = self._shared.clock.callLater(seconds, self._check_idleness)

    def _check_idleness(self) -> None:
        """One timer for all calls: it looks how long the last one is over, and comes back when that may have become long enough."""
        if self.status is not Status.ACTIVE or any(len(instance.sessions) for instance in self._ready):
            self._watch_idleness(self._shared.idle)
            return
        left = max(instance.idle_since for instance in self._ready) + self._shared.idle - self._shared.clock.seconds()
        if left > 0:
            self._watch_idleness(left)
            return
        self.status = Status.ASLEEP
        for instance in list(self._ready):
            instance.drain()

    def _wake(self) -> None:
        self.status = Status.LAUNCHING
        self._keepers.spawn("waking a plugin", self._keep(None))
        self._watch_idleness(self._shared.idle)


def _release(waiting: set[Deferred[None]], cause: str | None) -> None:
    for waiter in waiting:
        if not waiter.called:  # cancelled meanwhile
            waiter.callback(None if cause is None else Failure(Unavailable(cause)))


def _load(instance: Instance) -> int:
    return len(instance.sessions)
