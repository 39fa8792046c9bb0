"""One call on one process."""

from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from difyd.runtime.interfaces import IChannel, ISession


class Carrier(Protocol):
    """The process, as its channels see it."""

    def send(self, line: bytes) -> None:
        """Write a line to it."""

    def room(self) -> Deferred[None]:
        """Fires when it has taken enough to be sent more."""

    def close(self, session: ISession) -> None:
        """Forget a session."""


@implementer(IChannel)
@define(eq=False)
class Channel:
    """One call on one process; on another one, if the first died before it had read the request."""

    session: ISession
    _carrier: Carrier | None
    _request: int
    """Where in all that was written to the process the request begins."""
    closed: bool = field(default=False, init=False)

    def send(self, line: bytes) -> None:
        if self._carrier is not None:
            self._carrier.send(line)

    def room(self) -> Deferred[None]:
        return succeed(None) if self._carrier is None else self._carrier.room()

    def close(self) -> None:
        self.closed = True
        if self._carrier is not None:
            self._carrier.close(self.session)

    def unread(self, taken: int) -> bool:
        """Has a process that took so many bytes certainly not seen anything of the request?"""
        return self._request >= taken

    def detach(self) -> None:
        """Its process is gone."""
        self._carrier = None

    def move_to(self, other: "Channel") -> None:
        """The same call was opened again, as `other`; from now on this one stands for it."""
        self._carrier, self._request = other._carrier, other._request
