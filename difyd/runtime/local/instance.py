"""One plugin process: what it says, what is said to it, how it lives and ends (local-runtime 5, 6, 8, 11)."""

import secrets
from collections.abc import Callable
from signal import SIGKILL, SIGTERM, Signals
from typing import Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import ConnectionClosed, WriteFailed
from difyd.runtime import hooks
from difyd.runtime.interfaces import ISession
from difyd.runtime.local.channel import Channel
from difyd.runtime.local.child import Command, Exit, IChild, IChildListener, IChildren, Stream
from difyd.runtime.local.life import Life, new_life
from difyd.runtime.local.tail import Allowance, ErrorStream
from difyd.runtime.sessions import IPluginListener, Sessions
from difyd.wire.lines import Line, LineBuffer

BROKEN: Final = 1.0
"""Seconds that a process which has closed a pipe may go on: most are about to exit, with something still to say."""
SECOND_LOOK: Final = 5.0
"""Seconds that a silent plugin gets after its limit: it may be us who were away, on a machine that slept."""


@frozen
class Limits:
    """The bounds of one process; seconds and bytes. The defaults are the reference's constants where they can be seen from outside."""

    line: int
    """Longest line on standard output; a longer one fails its own call alone."""
    start: float = 120.0
    """Until the first heartbeat."""
    silence: float = 120.0
    worrying_silence: float = 60.0
    look: float = 30.0
    """Between two looks at how long it has been silent."""
    drain: float = 600.0
    """PLUGIN_MAX_EXECUTION_TIMEOUT: how long a stop waits for open calls."""
    grace: float = 5.0
    """Between SIGTERM and SIGKILL."""
    queue: int = 64 * 1024 * 1024
    """What may wait to be read by the plugin; beyond it new calls are refused."""
    window: float = 6.0
    """How long a call waits for a process that can take it (9.1)."""
    hold: float = 30.0
    """PLUGIN_STARTUP_WAIT: how long a call is held for a plugin that is not up; a longer pause between attempts is not waited for."""


class StartFailed(Exception):
    """A process ended before it was ready. The text is the cause, with the last words of the process."""

    def __init__(self, cause: str, *, outside: bool) -> None:
        super().__init__(cause)
        self.outside = outside
        """It was not the plugin's doing: the next attempt may well succeed."""


class NotTaken(Exception):
    """A call has certainly not reached this process and may be given to another."""


@implementer(IChildListener, IPluginListener)
@define(eq=False)
class Instance:
    """
    A process from its start to its end.

    Feeds what it reads to the sessions, keeps the clock of its heartbeats, and remembers its last words. The states are in `life`; the
    methods that the machine calls are the ones of `life.Deeds`.
    """

    log = Logger()

    identifier: PluginIdentifier
    _clock: IReactorTime
    _limits: Limits
    _tell: hooks.Listener
    _withdrawn: Callable[["Instance"], None]
    """Called once, when it takes no calls any more, or will never take one."""
    _orphaned: Callable[[list[Channel]], None]
    """Called when it died with calls whose request it has certainly not read: they may be given to another process."""
    name: str = field(factory=lambda: secrets.token_hex(4), init=False)
    sessions: Sessions = field(init=False)
    idle_since: float = field(default=0.0, init=False)
    """When its last call ended; means nothing while one is open."""
    _channels: dict[str, Channel] = field(factory=dict, init=False)
    """Those of the open sessions, by the session's id."""
    _written: int = field(default=0, init=False)
    _life: Life = field(init=False)
    _child: IChild | None = field(default=None, init=False)
    _lines: LineBuffer = field(init=False)
    _errors: ErrorStream = field(init=False)
    _printed: Allowance = field(factory=Allowance, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _ready: float | None = field(default=None, init=False)
    _heard: float = field(default=0.0, init=False)
    _worried: bool = field(default=False, init=False)
    taking: bool = field(default=True, init=False)
    """May it be given calls, now or once it is ready?"""
    _shut: Stream | None = field(default=None, init=False)
    """The pipe that it closed of itself, without which it is of no use."""
    _how: Exit | None = field(default=None, init=False)
    _verdict: str = field(default="", init=False)
    _emptied: Callable[[], None] | None = field(default=None, init=False)
    _starting: Deferred[None] | None = field(default=None, init=False)
    _leaving: set[Deferred[None]] = field(factory=set, init=False)
    _dismissed: bool = field(default=False, init=False)
    """It ends because we want it to."""
    _signalled: bool = field(default=False, init=False)
    """How it ends is our doing."""
    _slain: bool = field(default=False, init=False)
    _gone: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.sessions = Sessions(self, self._limits.line)
        self._lines = LineBuffer(self._limits.line)
        self._errors = ErrorStream(lambda text: self._tell(hooks.InstanceErrorLine(self.identifier, self.name, text)))
        self._life = new_life(self)

    # for the runtime ------------------------------------------------------------------------------------------------------------------

    async def start(self, children: IChildren, command: Command) -> None:
        """
        Spawn it; returns at its first heartbeat.

        Raises StartFailed when it is gone without one. Cancelling only ends the waiting: `stop` or `kill` end the process.
        """
        self._tell(hooks.InstanceStarting(self.identifier, self.name))
        self._started = self._heard = self._clock.seconds()
        try:
            self._child = children.spawn(command, self)
        except OSError as why:
            self._verdict = f"plugin failed to start: {why}"
            self._life.exited()
            self._life.ended()
            raise StartFailed(self._verdict, outside=True) from why
        self._wait(self._limits.start)
        self._starting = Deferred()
        await self._starting

    def open(self, session: ISession) -> Channel:
        """
        Register `session` and write its request.

        Raises NotTaken when this process certainly has not got it, WriteFailed when it is too far behind in its reading.
        """
        child = self._child
        if child is None or not self.taking:
            raise NotTaken
        if child.queued > self._limits.queue:
            raise WriteFailed(f"the plugin does not read: more than {self._limits.queue} bytes are waiting for it")
        self.sessions.add(session)
        if not child.write(session.request):
            self.sessions.remove(session)
            self._life.broken()
            raise NotTaken
        channel = self._channels[session.id] = Channel(session, self, self._written)
        self._written += len(session.request)
        return channel

    def drain(self) -> None:
        """Take no new calls, and end with the open ones or at the limit."""
        self._dismissed = True
        if len(self.sessions):
            self._life.drain()
        else:
            self._life.stop()

    def stop(self) -> None:
        """End it: its calls hear so at once, the process gets SIGTERM and, after the grace period, SIGKILL."""
        self._dismissed = True
        self._life.stop()

    def kill(self) -> None:
        """End it at once."""
        self._dismissed = True
        self._life.kill()

    def when_gone(self) -> Deferred[None]:
        """Fires when nothing is left of it; at once when that is so. Cancelling forgets the waiter."""
        waiter: Deferred[None] = Deferred(self._leaving.discard)
        if self._gone:
            waiter.callback(None)
        else:
            self._leaving.add(waiter)
        return waiter

    @property
    def lived(self) -> float:
        """Seconds since it became ready; 0 when it never was."""
        return 0.0 if self._ready is None else self._clock.seconds() - self._ready

    def cause(self) -> str:
        """Why it is not there any more, for people: the verdict, or how it ended and its last words."""
        return self._verdict or _with_words(f"the plugin's process {self._end()}", self.words())

    def words(self) -> str:
        """What it has said last on its standard error."""
        return self._errors.last_words(self._clock.seconds())

    # for its channels -----------------------------------------------------------------------------------------------------------------

    def send(self, line: bytes) -> None:
        if self._child is not None:
            self._written += len(line)
            self._child.write(line)

    def room(self) -> Deferred[None]:
        assert self._child is not None  # a channel was opened on it
        return self._child.room()

    def close(self, session: ISession) -> None:
        self.sessions.remove(session)
        self._channels.pop(session.id, None)
        if not len(self.sessions):
            self.idle_since = self._clock.seconds()
            if self._emptied is not None:
                self._emptied()

    # what the child says and does (IChildListener) ------------------------------------------------------------------------------------

    def output(self, data: bytes) -> None:
        self._heard = self._clock.seconds()  # before any call is fed: whoever talks is alive
        if lines := self._lines.feed(data):
            self._route(lines)

    def errors(self, data: bytes) -> None:
        self._heard = self._clock.seconds()
        self._errors.feed(data, self._heard)

    def closed(self, stream: Stream) -> None:
        if stream is Stream.OUTPUT:
            self._route(self._lines.end())
        if stream is Stream.ERRORS:
            self._errors.end(self._clock.seconds())
        else:
            if not self._signalled:
                self._shut = self._shut or stream
            self._life.broken()

    def exited(self, how: Exit) -> None:
        self._how = how
        self._life.exited()
        self._give_away_unread()

    def ended(self) -> None:
        self._life.ended()

    def _give_away_unread(self) -> None:
        """
        Save the calls that were written to a process already dead, or about to die: what is still in its pipe it has never seen, so the
        rule that a request is sent only once is kept (9.4).
        """
        if self._child is None or self._dismissed:
            return
        taken = self._written - self._child.unread
        orphans = [channel for channel in self._channels.values() if channel.unread(taken)]
        for channel in orphans:
            self.close(channel.session)
            channel.detach()
        if orphans:
            self._orphaned(orphans)

    def _route(self, lines: list[Line]) -> None:
        try:
            self.sessions.lines(lines)
        except Exception:  # a bug of ours in one line must not end the reading, and with it the plugin
            self.log.failure("lines of {identifier} could not be handled", identifier=str(self.identifier), instance=self.name)

    # what the plugin says beside its answers (IPluginListener) ------------------------------------------------------------------------

    def heartbeat(self) -> None:
        self._tell(hooks.InstanceHeartbeat(self.identifier, self.name))
        self._life.heartbeat()

    def logged(self, level: str, message: str, timestamp: float | None) -> None:
        self._tell(hooks.InstanceLogged(self.identifier, self.name, level, message, timestamp))

    def complained(self, detail: str) -> None:
        self._tell(hooks.InstanceComplained(self.identifier, self.name, detail))

    def printed(self, text: bytes) -> None:
        shown = self._printed.pass_on(text, self._clock.seconds())
        if shown is not None:
            self._tell(hooks.InstancePrinted(self.identifier, self.name, shown))

    # deeds of the machine (life.Deeds) ------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        assert self._child is not None
        self._ready = self.idle_since = self._clock.seconds()
        self._wait(self._limits.look, self._look)
        self._tell(hooks.InstanceReady(self.identifier, self.name, self._child.pid, self._ready - self._started))
        self._settle(None)

    def withdraw(self) -> None:
        if self.taking:
            self.taking = False
            self._withdrawn(self)

    def await_last_call(self) -> None:
        self._emptied = self._life.emptied
        self._wait(self._limits.drain)

    def await_end(self) -> None:
        self._wait(BROKEN)

    def never_ready(self) -> None:
        self._verdict = _with_words("failed to start plugin as no heartbeat received", self.words())

    def fell_silent(self) -> None:
        silent = self._clock.seconds() - self._heard
        self._verdict = _silence(self.identifier, silent) + f", captured error logs: {self.words()}"
        self._tell(hooks.InstanceFailed(self.identifier, self.name, self._verdict))

    def fail_calls(self) -> None:
        self._emptied = None
        self._channels.clear()
        self.sessions.fail(ConnectionClosed())

    def terminate(self) -> None:
        self._signal(SIGTERM)

    def slay(self) -> None:
        if self._slain:
            self.log.error("process {pid} of {identifier} cannot be killed", pid=self._pid, identifier=str(self.identifier))
        self._slain = True
        self._signal(SIGKILL)

    def rest(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def bury(self) -> None:
        if self._ready is None:
            self._verdict = self._verdict or f"plugin failed to start: {self.words() or self._end()}"
            if not self._dismissed:
                self._tell(hooks.InstanceFailed(self.identifier, self.name, self._verdict))
        self._tell(hooks.InstanceGone(self.identifier, self.name, self._pid, str(self._how), self._dismissed))
        outside = self._how is not None and self._how.from_outside and not self._signalled
        self._settle(Failure(StartFailed(self._verdict, outside=outside)))
        self._gone = True
        leaving, self._leaving = self._leaving, set()
        for waiter in leaving:
            waiter.callback(None)

    # ----------------------------------------------------------------------------------------------------------------------------------

    @property
    def _pid(self) -> int:
        return 0 if self._child is None else self._child.pid

    def _end(self) -> str:
        if self._signalled and self._shut is not None:
            return f"closed its standard {self._shut.name.lower()} and was ended"
        return str(self._how or "ended")

    def _signal(self, number: Signals) -> None:
        assert self._child is not None  # one that could not be spawned has no life to be ended
        self._signalled = True
        self._child.signal(number)
        self._wait(self._limits.grace)

    def _wait(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        """The one timer of a state; it takes the place of the last state's."""
        self.rest()
        self._timer = self._clock.callLater(seconds, then or self._life.overdue)

    def _settle(self, outcome: Failure | None) -> None:
        """Tell who waits for the first heartbeat. In a turn of its own: what is done about it may well be an input of the machine."""
        waiter, self._starting = self._starting, None
        if waiter is not None:
            self._clock.callLater(0, _fire, waiter, outcome)

    def _look(self) -> None:
        silent = self._clock.seconds() - self._heard
        if silent > self._limits.silence:
            self._wait(SECOND_LOOK, self._look_again)
            return
        if silent > self._limits.worrying_silence and not self._worried:
            self._tell(hooks.InstanceWarning(self.identifier, self.name, _silence(self.identifier, silent)))
        self._worried = silent > self._limits.worrying_silence
        self._wait(self._limits.look, self._look)

    def _look_again(self) -> None:
        if self._clock.seconds() - self._heard > self._limits.silence:
            self._life.overdue()
        else:
            self._look()


def _fire(waiter: Deferred[None], outcome: Failure | None) -> None:
    if not waiter.called:  # whoever waited may have been cancelled
        waiter.callback(outcome)


def _silence(identifier: PluginIdentifier, seconds: float) -> str:
    return f"plugin {identifier} is not active for {seconds:.0f} seconds, it may be dead"


def _with_words(text: str, words: str) -> str:
    return f"{text}: {words}" if words else text
