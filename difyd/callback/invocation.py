"""One call of a plugin under way, and how many there may be."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final

from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.callback.errors import InvocationFailed, Refused
from difyd.callback.messages import Reply
from difyd.entities.call import Call
from difyd.errors import DaemonError
from difyd.runtime.interfaces import IChannel

BROKEN: Final = "internal error of the plugin daemon"
"""What a plugin is told of a defect of ours."""

BIG: Final = 64 * 1024
"""Bytes of an answer that any number of invocations may hold, until all of a result or a frame is there. Of more, few may have any."""
BIG_AT_ONCE: Final = 8
"""Invocations of one plugin that may hold more than that: what a plugin does not read must not pile up here."""

Work = Callable[["Invocation"], Awaitable[Sequence[Raw]]]
"""Gives the results, those that `respond` has not delivered before; raises a DaemonError whose text the plugin's author sees."""


@define(eq=False)
class Invocation:
    """A call into Dify, or into what the plugin keeps. Answers until it is cancelled; unless it is, it ends with exactly one `end`."""

    log = Logger()

    call: Call
    type: str
    channel: IChannel
    _reply: Reply
    _turns: DeferredSemaphore
    """Of the plugin: `BIG_AT_ONCE`."""
    sent: int = field(default=0, init=False)
    """Bytes of its lines."""
    outcome: str = field(default="canceled", init=False)
    """For metrics and the log: `success`, `error`, `refused`, `canceled`."""
    reason: str = field(default="", init=False)
    """Of an error, for the log."""
    _over: bool = field(default=False, init=False)
    _has_turn: bool = field(default=False, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)

    def start(self, work: Work) -> Deferred[None]:
        """
        Fires when it is over, however it ended, and the plugin has taken enough of its answers: one that asks on and on and does not read
        comes to its limit that way.
        """
        self._running = Deferred.fromCoroutine(self._run(work))
        return self._running.addErrback(self._stopped)

    def respond(self, results: Sequence[Raw]) -> None:
        """A response for each result, now, in one write. Results are objects on one line."""
        self._send(self._responses(results))

    def room(self, held: int) -> Deferred[None]:
        """For whoever reads an answer and has `held` bytes of it that could not be delivered yet: fires when more may be read."""
        if held > BIG and not self._has_turn:
            turn = self.turn()
            if not turn.called:
                return turn
        elif held <= BIG:
            self._end_turn()
        return self.channel.room()

    def turn(self) -> Deferred[None]:
        """Fires when this may hold as much as it likes, until it ends. Cancelling forgets the waiter."""
        return self._turns.acquire().addCallback(self._take_turn)

    def cancel(self) -> None:
        """Nothing more is sent; what it waits for is given up."""
        self._over = True
        if self._running is not None:
            self._running.cancel()

    async def _run(self, work: Work) -> None:
        try:
            last = await self._last(work)
            self._send(last + self._reply.end())
        finally:
            self._end_turn()
        if not self._over:
            await self.channel.room()

    async def _last(self, work: Work) -> bytes:
        """The lines before the end."""
        try:
            results = await work(self)
            while results and not (room := self.channel.room()).called:  # of all that wait for room one goes, and then there may be none
                await room
            self.outcome = "success"
            return self._responses(results)
        except CancelledError:
            raise
        except DaemonError as why:
            self.outcome = "refused" if isinstance(why, Refused) else "error"
            self.reason = why.logged if isinstance(why, InvocationFailed) else str(why)
            return self._reply.error(str(why))
        except Exception:
            self.log.failure("an invocation of {type} by {identifier} failed", type=self.type, identifier=self.call.identifier.text)
            self.outcome, self.reason = "error", BROKEN
            return self._reply.error(BROKEN)

    def _take_turn(self, _: object) -> None:
        self._has_turn = True

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.release()

    def _stopped(self, why: Failure) -> None:
        if not why.check(CancelledError):
            self.log.failure(
                "the end of an invocation of {type} by {identifier} failed", why, type=self.type, identifier=self.call.identifier.text
            )

    def _responses(self, results: Sequence[Raw]) -> bytes:
        return self._reply.responses(results) if results else b""

    def _send(self, lines: bytes) -> None:
        if lines and not self._over:
            self.sent += len(lines)
            self.channel.send(lines)


@define(eq=False)
class Places:
    """How many, or how much, may be under way at once for one key."""

    limit: int
    _taken: dict[Hashable, int] = field(factory=dict, init=False)

    def full(self, key: Hashable, more: int = 1) -> bool:
        """Have so many more no place? One always has, however much it is."""
        taken = self._taken.get(key, 0)
        return taken > 0 and taken + more > self.limit

    def take(self, key: Hashable, size: int = 1) -> None:
        self._taken[key] = self._taken.get(key, 0) + size

    def free(self, key: Hashable, size: int = 1) -> None:
        left = self._taken.pop(key) - size
        if left:
            self._taken[key] = left

    def __contains__(self, key: Hashable) -> bool:
        return key in self._taken
