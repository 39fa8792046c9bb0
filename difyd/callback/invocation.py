"""One call of a plugin under way, and how many there may be."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final

from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.callback.messages import Reply
from difyd.entities.call import Call
from difyd.errors import DaemonError
from difyd.runtime.interfaces import IChannel

BROKEN: Final = "internal error of the plugin daemon"
"""What a plugin is told of a defect of ours."""


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
    outcome: str = field(default="cancelled", init=False)
    """For the log: `answered`, `cancelled`, or the text of the error."""
    _over: bool = field(default=False, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)

    def start(self, work: "Callable[[Invocation], Awaitable[Sequence[Raw]]]") -> Deferred[None]:
        """
        `work` gives the results, those that `respond` has not delivered before; it raises a DaemonError whose text the plugin's author sees.

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

    async def _run(self, work: "Callable[[Invocation], Awaitable[Sequence[Raw]]]") -> None:
        try:
            last = self._responses(await work(self))
            self.outcome = "answered"
        except CancelledError:
            raise
        except DaemonError as why:
            self.outcome = str(why)
            last = self._reply.error(self.outcome)
        except Exception:
            self.log.failure("an invocation of {type} by {identifier} failed", type=self.type, identifier=self.call.identifier.text)
            self.outcome = BROKEN
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
