"""The daemon's ends of a child's pipes: wide reads, counted writes."""

import fcntl
import os
import sys
import termios
from collections.abc import Callable
from typing import Final

from twisted.internet import fdesc
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReactorProcess, IReactorTime
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

READ_SIZE: Final = 64 * 1024
"""What a pipe holds; Twisted's own reader takes an eighth of it, which costs a quarter more for the same bytes."""
ROOM: Final = 64 * 1024
"""With less than this queued, a child is ready to be sent more."""


class Reactor(IReactorProcess, IReactorTime, IReactorFDSet):
    """What children need of the reactor."""


class _Pipe(FileDescriptor):
    """One end of a pipe, which it owns and closes."""

    def __init__(self, reactor: Reactor, descriptor: int, lost: Callable[[], None]) -> None:
        """`lost` is called once, when the pipe is closed, by whichever side."""
        super().__init__(reactor)
        self._clock: IReactorTime = reactor
        fdesc.setNonBlocking(descriptor)
        self._descriptor, self._lost = descriptor, lost
        self.connected = 1

    def fileno(self) -> int:
        return self._descriptor

    def connectionLost(self, reason: Failure) -> None:
        if self._descriptor < 0:  # the reactor tells a second time when we have closed during its own call
            return
        FileDescriptor.connectionLost(self, reason)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        self._lost()

    def close(self) -> None:
        """Now; what is queued is thrown away."""
        self.connectionLost(Failure(CONNECTION_DONE))


class PipeReader(_Pipe):
    """The end of a pipe that is read."""

    def __init__(self, reactor: Reactor, descriptor: int, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        super().__init__(reactor, descriptor, lost)
        self._received = received
        FileDescriptor.startReading(self)

    def doRead(self) -> BaseException | None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self._received(data)
        return None


class PipeWriter(_Pipe):
    """The end of a pipe that is written. Knows at any time how much waits in it."""

    def __init__(self, reactor: Reactor, descriptor: int, lost: Callable[[], None]) -> None:
        super().__init__(reactor, descriptor, lost)
        self.queued = 0
        self._left = 0
        self._waiting: set[Deferred[None]] = set()

    def send(self, data: bytes) -> bool:
        """
        Write or queue; False when the pipe is closed.

        While nothing waits, the pipe is written to here and now: a line then costs one system call and no turn of the reactor.
        """
        if not self.connected:
            return False
        if not self.queued:
            sent = fdesc.writeToFD(self._descriptor, data)
            if not isinstance(sent, int):
                self.connected = 0
                self._clock.callLater(0, self.connectionLost, Failure(sent))
                return False
            if sent == len(data):
                return True
            data = data[sent:]
        self.queued += len(data)
        self.write(data)
        return True

    def writeSomeData(self, data: bytes) -> int | BaseException:
        sent: int | BaseException = fdesc.writeToFD(self._descriptor, data)
        if isinstance(sent, int):
            self.queued -= sent
            if self.queued < ROOM:
                self._tell_room()
        return sent

    def room(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred(self._waiting.discard)
        if self.queued < ROOM or not self.connected:
            waiter.callback(None)
        else:
            self._waiting.add(waiter)
        return waiter

    @property
    def unread(self) -> int:
        """Bytes of what was sent that nobody has read, and, once the pipe is closed, nobody ever will."""
        return self._left if self._descriptor < 0 else self.queued + _bytes_in(self._descriptor)

    def connectionLost(self, reason: Failure) -> None:
        if self._descriptor >= 0:
            self._left = self.unread
        super().connectionLost(reason)
        self.queued = 0
        self._tell_room()

    def _tell_room(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            waiter.callback(None)


def _bytes_in(descriptor: int) -> int:
    """What a pipe holds, asked at either end; 0 where the system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0
