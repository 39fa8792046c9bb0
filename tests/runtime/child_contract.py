"""What every kind of child promises (`difyd.runtime.local.child`). Children in memory and real ones are held to the same words."""

from signal import SIGKILL, SIGTERM

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from difyd.runtime.local.child import Exit, IChild, IChildListener, Stream


@implementer(IChildListener)
@define(eq=False)
class Witness:
    """Notes all that is heard of a child; `over` fires when it has ended, `spoken` when it has said something."""

    heard: list[str] = field(factory=list)
    said: bytes = b""
    complained: bytes = b""
    how: Exit | None = None
    over: Deferred[None] = field(factory=Deferred)
    spoken: Deferred[None] = field(factory=Deferred)

    def output(self, data: bytes) -> None:
        self._note("output")
        self.said += data
        if not self.spoken.called:
            self.spoken.callback(None)

    def errors(self, data: bytes) -> None:
        self._note("errors")
        self.complained += data

    def closed(self, stream: Stream) -> None:
        self._note(f"closed {stream.name}")

    def exited(self, how: Exit) -> None:
        self._note("exited")
        self.how = how

    def ended(self) -> None:
        self._note("ended")
        self.over.callback(None)

    def _note(self, what: str) -> None:
        assert "ended" not in self.heard, f"{what} after the end"
        self.heard.append(what)


class ChildContract:
    """Mixed into a test case that can make children."""

    def start(self, program: str, witness: Witness) -> IChild:
        """`echo` says `>` and then what it is told; `words` writes `out`, complains `err`, and exits with 3."""
        raise NotImplementedError

    async def test_interface(self) -> None:
        """It has what the interface names."""
        witness = Witness()
        child = self.start("words", witness)
        verifyObject(IChild, child)
        await witness.over

    async def test_words(self) -> None:
        """Everything it wrote is heard, each pipe is closed once, then it is reaped and over; the end is the last thing heard."""
        witness = Witness()
        self.start("words", witness)
        await witness.over
        self.assertEqual((witness.said, witness.complained, witness.how), (b"out", b"err", Exit(3)))
        self.assertEqual(witness.heard[-1], "ended")
        for once in ("closed OUTPUT", "closed ERRORS", "exited"):
            self.assertEqual(witness.heard.count(once), 1)
        self.assertLess(witness.heard.index("output"), witness.heard.index("closed OUTPUT"))

    async def test_echo(self) -> None:
        """What is written to it arrives."""
        witness = Witness()
        child = self.start("echo", witness)
        await witness.spoken
        witness.spoken = Deferred()
        self.assertTrue(child.write(b"hello\n"))
        await witness.spoken
        self.assertEqual(witness.said, b">hello\n")
        child.signal(SIGKILL)
        await witness.over

    async def test_signals(self) -> None:
        """A signal ends it and shows as such; after that it is not heard, and nothing can be written."""
        for number in (SIGTERM, SIGKILL):
            witness = Witness()
            child = self.start("echo", witness)
            await witness.spoken
            child.signal(number)
            await witness.over
            self.assertEqual(witness.how, Exit(signal=number))
            child.signal(SIGKILL)
            self.assertFalse(child.write(b"late\n"))

    async def test_room(self) -> None:
        """There is room for more while little waits, and when nobody is there any more."""
        witness = Witness()
        child = self.start("echo", witness)
        await child.room()
        child.signal(SIGKILL)
        await witness.over
        await child.room()
