"""One call of a plugin under way, and how many there may be."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final

from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.callback.errors import InvocationFailed, Refused
from difyd.callback.messages import Reply
from difyd.entities.call import Call
from difyd.errors import DaemonError
from difyd.runtime.interfaces import IChannel

BROKEN: Final = "internal error of the plugin daemon"
"""What a plugin is told of a defect of ours."""

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
    sent: int = field(default=0, init=False)
    """Bytes of its lines."""
    outcome: str = field(default="canceled", init=False)
    """For metrics and the log: `success`, `error`, `refused`, `canceled`."""
    reason: str = field(default="", init=False)
    """Of an error, for the log."""
    _over: bool = field(default=False, init=False)
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

    def cancel(self) -> None:
        """Nothing more is sent; what it waits for is given up."""
        self._over = True
        if self._running is not None:
            self._running.cancel()

    async def _run(self, work: Work) -> None:
        try:
            last = self._responses(await work(self))
            self.outcome = "success"
        except CancelledError:
            raise
        except DaemonError as why:
            self.outcome = "refused" if isinstance(why, Refused) else "error"
            self.reason = why.logged if isinstance(why, InvocationFailed) else str(why)
            last = self._reply.error(str(why))
        except Exception:
            self.log.failure("an invocation of {type} by {identifier} failed", type=self.type, identifier=self.call.identifier.text)
            self.outcome, self.reason = "error", BROKEN
            last = self._reply.error(BROKEN)
        self._send(last + self._reply.end())
        if not self._over:
            await self.channel.room()

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
    """How many may be under way at once for one key."""

    limit: int
    _taken: dict[Hashable, int] = field(factory=dict, init=False)

    def full(self, key: Hashable) -> bool:
        return self._taken.get(key, 0) >= self.limit

    def take(self, key: Hashable) -> None:
        self._taken[key] = self._taken.get(key, 0) + 1

    def free(self, key: Hashable) -> None:
        left = self._taken.pop(key) - 1
        if left:
            self._taken[key] = left
