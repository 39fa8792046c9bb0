"""Children in memory: processes that do what a test tells them to, and end when they are killed."""

from collections.abc import Callable
from signal import SIGKILL, SIGTERM, Signals

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from difyd.runtime.local.child import Command, Exit, IChild, IChildListener, IChildren, Stream

HEARTBEAT = b'{"event":"heartbeat","session_id":null,"data":{}}\n'


@implementer(IChild)
@define(eq=False)
class MemoryChild:
    """A process in memory. What the test makes it do is heard at once; what is done to it is noted."""

    pid: int
    command: Command
    _listener: IChildListener
    _clock: IReactorTime
    heeds: frozenset[Signals] = frozenset({SIGTERM, SIGKILL})
    """The signals that end it."""
    queued: int = 0
    unread: int = 0
    written: list[bytes] = field(factory=list)
    signals: list[Signals] = field(factory=list)
    reads: bool = True
    """Its standard input is open."""
    exit: Exit | None = None
    answers: Callable[[bytes], None] = lambda data: None
    """Is told what is written to it."""

    def write(self, data: bytes) -> bool:
        if not self.reads:
            return False
        self.written.append(data)
        self._clock.callLater(0, self.answers, data)
        return True

    def room(self) -> Deferred[None]:
        return succeed(None)

    def signal(self, number: Signals) -> None:
        if self.exit is None:
            self.signals.append(number)
            if number in self.heeds:
                self._clock.callLater(0, self.ends, Exit(signal=number))

    def says(self, *lines: bytes) -> None:
        """One read of its standard output."""
        self._listener.output(b"".join(lines))

    def beats(self) -> None:
        self.says(HEARTBEAT)

    def complains(self, text: bytes) -> None:
        self._listener.errors(text)

    def shuts(self, stream: Stream) -> None:
        """Closes one of its pipes and lives on."""
        if stream is Stream.INPUT:
            self.reads = False
        self._listener.closed(stream)

    def exits(self, how: Exit) -> None:
        """Is reaped; its pipes are still held by somebody."""
        self.exit = how
        self.reads = False
        self._listener.exited(how)

    def ends(self, how: Exit = Exit(1)) -> None:  # noqa: B008
        """Is reaped and its pipes are closed."""
        if self.exit is None:
            for stream in (Stream.OUTPUT, Stream.ERRORS):
                self._listener.closed(stream)
            self.exits(how)
            self._listener.ended()


@implementer(IChildren)
@define(eq=False)
class MemoryChildren:
    """Makes children in memory; `made` holds all of them, `on_spawn` is told of each."""

    clock: IReactorTime
    made: list[MemoryChild] = field(factory=list)
    on_spawn: Callable[[MemoryChild], None] = lambda child: None
    refuses: bool = False

    def spawn(self, command: Command, listener: IChildListener) -> IChild:
        if self.refuses:
            raise OSError("no more processes")
        child = MemoryChild(100 + len(self.made), command, listener, self.clock)
        self.made.append(child)
        self.clock.callLater(0, self.on_spawn, child)
        return child

    def kill_all(self) -> None:
        for child in self.made:
            child.signal(SIGKILL)

    @property
    def last(self) -> MemoryChild:
        return self.made[-1]
