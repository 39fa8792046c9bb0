"""What a registration has to wait for: whose key it is, whether a declaration is in order, that the plugin is shown."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import DaemonError, InternalError
from difyd.runtime.debug.interfaces import IDebugKeys, ILink
from difyd.runtime.debug.messages import UNKNOWN_KEY, Kind, Refusal, last_words
from difyd.runtime.debug.plugins import DebugPlugins
from difyd.runtime.debug.registration import Life
from difyd.runtime.debug.submission import Declarations, Submission
from difyd.runtime.debug.visitors import Visitors
from difyd.store.threads import Threads

UNREAD: Final = 64 * 1024 * 1024


@frozen(eq=False)
class Desk:
    """Where the connections of this node register."""

    keys: IDebugKeys
    plugins: DebugPlugins
    visitors: Visitors
    threads: Threads
    """For looking at declarations: large ones take a second."""
    declarations: Callable[[], Declarations]
    """Makes an empty one."""
    unread: int = UNREAD
    """Bytes that may wait for a plugin which does not read."""


@define(eq=False)
class Inquiries:
    """
    Puts the questions of one connection, one at a time, and tells its life the answer.

    A question is put in the turn after it was asked, because the machine is still at work in this one. Once put it is brought to its end,
    whatever becomes of the connection; its life ignores what comes too late.
    """

    log = Logger()

    _clock: IReactorTime
    _desk: Desk
    _life: Life
    _next: IDelayedCall | None = field(default=None, init=False)

    def tenant_of(self, key: str) -> None:
        self._ask(self._tenant_of, key)

    def in_order(self, submission: Submission, kind: Kind, data: bytes) -> None:
        self._ask(self._in_order, submission, kind, data)

    def admit(self, link: ILink, submission: Submission, admitted: Callable[[PluginIdentifier], None]) -> None:
        """`admitted` is called before the life hears of it."""
        self._ask(self._admit, link, submission, admitted)

    def drop(self) -> None:
        """A question that has not been put is not put any more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _ask(self, question: Callable[..., Coroutine[Deferred[Any], Any, None]], *about: object) -> None:
        self._next = self._clock.callLater(0, self._put, question, *about)

    def _put(self, question: Callable[..., Coroutine[Deferred[Any], Any, None]], *about: object) -> None:
        Deferred.fromCoroutine(question(*about)).addErrback(self._failed)

    async def _tenant_of(self, key: str) -> None:
        try:
            tenant = await self._desk.keys.tenant_of(key)
        except InternalError as why:
            self._life.refuse(last_words(Refusal(f"failed to get connection info: {why}")))
            return
        if tenant:
            self._life.recognised(tenant)
        else:
            self._life.refuse(UNKNOWN_KEY.encode())

    async def _in_order(self, submission: Submission, kind: Kind, data: bytes) -> None:
        try:
            await self._desk.threads.run(submission.declare_blocking, kind, data)
        except DaemonError as why:
            self._life.refuse(last_words(why))
        else:
            self._life.in_order()

    async def _admit(self, link: ILink, submission: Submission, admitted: Callable[[PluginIdentifier], None]) -> None:
        try:
            admitted(await self._desk.plugins.admit(link, submission))
        except Refusal as why:
            self._life.refuse(last_words(why))
        else:
            self._life.installed()

    def _failed(self, failure: Failure) -> None:
        """A bug of ours must not leave a developer without a word."""
        if not failure.check(CancelledError):
            self.log.failure("a plugin under development cannot be registered", failure)
            self._life.refuse(b"failed to install debugging plugin: internal server error")
