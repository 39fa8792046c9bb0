"""Bodies: where they are kept while they come in, and how they are read."""

from io import BytesIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from difyd.errors import StorageFailed
from difyd.web.body import AHEAD, IN_MEMORY, Bodies, Intake, SpoolFile
from difyd.web.routes import BodyLimit
from tests.web.cable import SAY, Cable, Parrot, Threads, guarded, post, site_of, status

LARGE = bytes(range(256)) * 8192  # 2 MiB


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.threads = Threads()
        self.flow: list[str] = []

    def spool(self) -> SpoolFile:
        return SpoolFile(self.threads.run, self.directory, lambda: self.flow.append("pause"), lambda: self.flow.append("resume"))

    @given(st.lists(st.binary(max_size=50)))
    def test_small(self, pieces: list[bytes]) -> None:
        """A small body stays in memory, in whatever pieces it comes."""
        intake = Intake(None, 10_000, self.spool)
        self.assertTrue(all(intake.take(piece) for piece in pieces))
        content = intake.done()
        assert isinstance(content, BytesIO)
        self.assertEqual(content.read(), b"".join(pieces))

    def test_not_copied(self) -> None:
        """A body that comes in one piece is handed on as it is."""
        body = b"x" * 1000
        intake = Intake(1000, 1000, self.spool)
        intake.take(body)
        content = intake.done()
        assert isinstance(content, BytesIO)
        self.assertIs(content.read(), body)

    def test_large(self) -> None:
        """A large body goes to a file without a name, off the reactor, and comes back whole from its start."""
        intake = Intake(None, 10 * IN_MEMORY, self.spool)
        for start in range(0, len(LARGE), 100_000):
            intake.take(LARGE[start : start + 100_000])
        done = intake.done()
        assert isinstance(done, Deferred)
        while self.threads.waiting:
            self.assertNoResult(done)
            self.threads.work()
        with self.successResultOf(done) as file:
            self.assertEqual(file.read(), LARGE)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_beyond_the_limit(self) -> None:
        """More than the limit is refused with the piece that goes beyond it, and nothing is kept."""
        intake = Intake(None, 10, self.spool)
        self.assertEqual([intake.take(b"12345"), intake.take(b"67890"), intake.take(b"1")], [True, True, False])

    def test_slow_disk(self) -> None:
        """A client that is faster than the disk is not read from while too much waits, and is again when it has been written."""
        intake = Intake(None, 10 * AHEAD, self.spool)
        intake.take(LARGE)
        intake.take(bytes(AHEAD))
        self.assertEqual(self.flow, [])
        intake.take(b"x")
        self.assertEqual(self.flow, ["pause"])
        self.threads.work()
        self.assertEqual(self.flow, ["pause", "resume"])

    def test_broken_disk(self) -> None:
        """A disk that does not take the body fails the request with a cause, and does not stop the reading."""
        self.directory.rmdir()
        intake = Intake(None, 10 * IN_MEMORY, self.spool)
        intake.take(LARGE)
        done = intake.done()
        assert isinstance(done, Deferred)
        self.threads.work()
        self.assertIn("could not be kept", str(self.failureResultOf(done, StorageFailed).value))
        self.assertTrue(intake.take(b"more"))
        self.assertEqual((self.flow, self.threads.waiting), (["resume"], []))

    def test_given_up_while_written(self) -> None:
        """When the client goes away during a write, the file is closed after it and not under it."""
        intake = Intake(None, 10 * IN_MEMORY, self.spool)
        intake.take(LARGE)
        spooled = intake._file
        assert spooled is not None
        intake.close()
        self.threads.work()
        self.threads.work()
        self.assertEqual((self.threads.waiting, spooled._file), ([], None))


class Spooled(SynchronousTestCase):
    """The same through the site."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.threads = Threads()
        self.parrot = Parrot()
        site = site_of(guarded(self.parrot, limit=BodyLimit(10 * IN_MEMORY)), in_thread=self.threads.run, directory=self.directory)
        self.cable = Cable(site)

    def test_large_body(self) -> None:
        """A large body reaches its handler when it is written, and the connection is kept."""
        self.assertEqual(self.cable.send(post(SAY, LARGE)), b"")
        while self.threads.waiting:
            self.threads.work()
        self.assertEqual([body == LARGE for _, body in self.parrot.seen], [True])
        self.assertEqual(status(self.cable.read()), 200)
        self.assertEqual(status(self.cable.send(post(SAY, b"x"))), 200)

    def test_paused(self) -> None:
        """A client that is faster than the disk is paused and resumed."""
        self.cable.send(post(SAY, bytes(9 * IN_MEMORY))[: 2 * IN_MEMORY], bytes(AHEAD + 1))
        self.assertEqual(self.cable.socket.producerState, "paused")
        self.threads.work()
        self.assertEqual(self.cable.socket.producerState, "producing")
        self.cable.hang_up()

    def test_paused_by_its_end(self) -> None:
        """A body whose last piece was too much is resumed as well: else nobody would notice that its client goes away."""
        self.cable.send(post(SAY, bytes(9 * IN_MEMORY))[: 2 * IN_MEMORY], bytes(7 * IN_MEMORY + 1000))
        self.assertEqual(self.cable.socket.producerState, "paused")
        self.threads.work()
        self.assertEqual(self.cable.socket.producerState, "producing")
        self.threads.work()
        self.assertEqual(len(self.parrot.seen), 1)

    def test_no_disk(self) -> None:
        """What cannot be stored is answered with an error in an envelope."""
        self.directory.rmdir()
        self.cable.send(post(SAY, LARGE))
        self.threads.work()
        answer = self.cable.read()
        self.assertEqual((status(answer), b"could not be kept" in answer), (500, True))

    def test_gone_before_it_is_written(self) -> None:
        """A client that goes away in the meantime reaches no handler."""
        self.cable.send(post(SAY, LARGE))
        self.cable.hang_up()
        while self.threads.waiting:
            self.threads.work()
        self.assertEqual(self.parrot.seen, [])


class BodiesTests(SynchronousTestCase):
    def request(self, content: object) -> DummyRequest:
        request = DummyRequest([b""])
        request.content = content
        return request

    def test_memory(self) -> None:
        """A body in memory is read at once, and given back."""
        threads = Threads()
        held = BytesIO(b"body")
        body = self.successResultOf(Deferred.fromCoroutine(Bodies(threads.run).read(self.request(held))))
        self.assertEqual((body, held.closed, threads.waiting), (b"body", True, []))

    def test_file(self) -> None:
        """A body in a file is read on a thread, which closes the file; the request does not, whatever becomes of it."""
        threads = Threads()
        path = Path(self.mktemp())
        path.write_bytes(LARGE)
        file = path.open("rb")
        request = self.request(file)
        reading = Deferred.fromCoroutine(Bodies(threads.run).read(request))
        request.content.close()
        self.assertFalse(file.closed)
        threads.work()
        self.assertEqual((self.successResultOf(reading) == LARGE, file.closed), (True, True))
