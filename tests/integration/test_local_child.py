"""Children, real ones and those in memory; the launcher before them and the guard behind them."""

import math
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

import psutil
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.local.child import Command, Exit, IChild, Stream
from difyd.runtime.local.guarding import Guard
from difyd.runtime.local.owner import VARIABLE, Owner
from difyd.runtime.local.places import Places
from difyd.runtime.local.process import LAST_WORDS, Processes
from difyd.runtime.local.strays import kill_strays_blocking
from difyd.runtime.local.tool import run_tool
from tests.integration.local_house import alive, gone
from tests.runtime.child_contract import ChildContract, Witness
from tests.runtime.children import MemoryChild, MemoryChildren
from tests.runtime.house import COMMAND

HERE = str(Path(__file__).resolve().parents[2])
WORDS = "import sys; sys.stdout.write('out'); sys.stderr.write('err'); sys.stdout.flush(); sys.stderr.flush(); sys.exit(3)"
ECHO = "import sys; sys.stdout.write('>'); sys.stdout.flush()\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"


def temporary(test: TestCase) -> str:
    """A directory for one test."""
    directory = os.path.realpath(tempfile.mkdtemp(prefix="difyd-"))
    test.addCleanup(rmtree, directory)
    return directory


class InMemory(ChildContract, TestCase):
    timeout = 10

    def start(self, program: str, witness: Witness) -> IChild:
        return MemoryChildren(reactor, on_spawn=getattr(self, program)).spawn(COMMAND, witness)

    def words(self, child: MemoryChild) -> None:
        child.says(b"out")
        child.complains(b"err")
        child.ends(Exit(3))

    def echo(self, child: MemoryChild) -> None:
        child.answers = child.says
        child.says(b">")


class ProcessCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.guard = Guard(reactor, "1:1:/nowhere")
        self.processes = Processes(reactor, self.guard)

    def tearDown(self) -> Deferred[None]:
        return self.guard.stopService()

    def spawn(self, source: str, witness: Witness, directory: Path = Path("/")) -> IChild:
        arguments = (sys.executable, "-I", "-S", "-c", source)
        return self.processes.spawn(Command(arguments, directory, {"PATH": os.environ["PATH"]}), witness)


class Real(ChildContract, ProcessCase):
    def start(self, program: str, witness: Witness) -> IChild:
        return self.spawn({"words": WORDS, "echo": ECHO}[program], witness)


class Pipes(ProcessCase):
    async def test_large(self) -> None:
        """Megabytes in both directions at once: nothing waits for anything, and `queued` and `room` tell what is on its way."""
        witness = Witness()
        child = self.spawn(ECHO, witness)
        await witness.spoken
        line = b"x" * 999_999 + b"\n"
        for _ in range(8):
            child.write(line)
        self.assertGreater(child.queued, 1_000_000)
        await child.room()
        self.assertLess(child.queued, 65536)
        while len(witness.said) < 8_000_001:
            await deferLater(reactor, 0.01)
        self.assertEqual(witness.said, b">" + line * 8)
        child.signal(signal.SIGKILL)
        await witness.over

    async def test_closed_input(self) -> None:
        """A child that has closed its input says so at the next write; it lives on, and what it writes still arrives."""
        witness = Witness()
        child = self.spawn("import os, sys, time; os.close(0); os.write(1, b'>'); time.sleep(0.3); os.write(1, b'late')", witness)
        await witness.spoken
        self.assertFalse(child.write(b"x"))
        await witness.over
        self.assertEqual((witness.said, witness.heard.count(f"closed {Stream.INPUT.name}")), (b">late", 1))

    async def test_unread(self) -> None:
        """What a dead child has not read is known to the byte: in its pipe, and before it."""
        for size in (1000, 1_000_000):
            witness = Witness()
            child = self.spawn("import os, time; os.write(1, os.read(0, 10)); time.sleep(60)", witness)
            child.write(b"x" * size)
            await witness.spoken
            child.signal(signal.SIGKILL)
            await witness.over
            self.assertEqual((witness.said, child.unread), (b"x" * 10, size - 10))

    async def test_held_pipes(self) -> None:
        """One who holds the pipes of a dead child, in a session of its own, is listened to for a moment and then no more."""
        witness = Witness()
        source = "import os, subprocess; p = subprocess.Popen(['sleep', '60'], start_new_session=True); os.write(1, b'%d' % p.pid)"
        self.spawn(source, witness)
        await witness.spoken
        while witness.how is None:
            await deferLater(reactor, 0.01)
        self.assertFalse(witness.over.called)
        await deferLater(reactor, LAST_WORDS + 0.2)
        self.assertTrue(witness.over.called)
        os.kill(int(witness.said), signal.SIGKILL)

    async def test_no_descriptor_is_left(self) -> None:
        """Nothing of a child stays open here."""
        before = None
        for _ in range(3):
            witness = Witness()
            self.spawn(WORDS, witness)
            await witness.over
            count = len(os.listdir("/proc/self/fd"))
            before = before or count
            self.assertEqual(count, before)

    async def test_not_runnable(self) -> None:
        """A program that is not there, or a directory, shows as an exit with a word about it."""
        for arguments, directory, word in (
            (("/no/such",), "/", "cannot run /no/such: No such file or directory"),
            (("/bin/sh",), "/no/such", "cannot work in /no/such: No such file or directory"),
        ):
            witness = Witness()
            self.processes.spawn(Command(arguments, Path(directory), {}), witness)
            await witness.over
            self.assertEqual(witness.how, Exit(127))
            self.assertIn(word, witness.complained.decode())


class Launcher(ProcessCase):
    async def test_what_the_program_sees(self) -> None:
        """Its own arguments, its directory, a session of its own, and an environment that is as it was given."""
        witness = Witness()
        directory = temporary(self)
        source = "import os, sys; print(sys.orig_argv[-1] == sys.orig_argv[4], os.getcwd(), os.getsid(0) == os.getpid(), sorted(os.environ))"
        self.spawn(source, witness, Path(directory))
        await witness.over
        self.assertTrue(witness.said.decode().startswith(f"True {directory} True ['"))
        self.assertNotIn(VARIABLE, witness.said.decode())


class Tools(ProcessCase):
    def tool(self, source: str, **options: object):
        command = Command((sys.executable, "-I", "-S", "-c", source), Path("/"), {})
        return Deferred.fromCoroutine(run_tool(self.processes, reactor, command, **options))

    async def test_result(self) -> None:
        """How it ended and what it said, the last part of it."""
        finished = await self.tool(WORDS)
        self.assertEqual((finished.how, finished.output, finished.errors, finished.silent), (Exit(3), b"out", b"err", False))
        finished = await self.tool("import sys; sys.stderr.write('x' * 200_000 + 'end')")
        self.assertEqual((len(finished.errors), finished.errors[-3:]), (65536, b"end"))

    async def test_silence(self) -> None:
        """One that says nothing for too long is killed with all that it started; one that goes on speaking is not."""
        source = "import os, subprocess, time; p = subprocess.Popen(['sleep', '60']); os.write(1, b'%d' % p.pid); time.sleep(60)"
        finished = await self.tool(source, silence=0.5)
        self.assertEqual((finished.silent, finished.how), (True, Exit(signal=9)))
        await gone(int(finished.output))
        finished = await self.tool("import os, time\nfor _ in range(8): os.write(1, b'.'); time.sleep(0.2)", silence=1.0)
        self.assertEqual((finished.silent, finished.output), (False, b"........"))

    async def test_cancelled(self) -> None:
        """Cancelling kills it, and the answer comes when it is gone."""
        heard: list[bytes] = []
        running = self.tool("import os, time; os.write(1, b'%d' % os.getpid()); time.sleep(60)", heard=heard.append)
        while not heard:
            await deferLater(reactor, 0.01)
        over: Deferred[None] = Deferred()
        running.addErrback(lambda failure: over.callback(None))
        running.cancel()
        await over
        self.assertFalse(alive(int(heard[0])))


DAEMON = """
import os, sys
sys.path.insert(0, {path!r})
from pathlib import Path
from twisted.internet import reactor
from difyd.runtime.local.child import Command
from difyd.runtime.local.guarding import Guard
from difyd.runtime.local.owner import VARIABLE, Owner
from difyd.runtime.local.process import Processes
from tests.runtime.child_contract import Witness
owner = Owner.this(Path({root!r}))
processes = Processes(reactor, Guard(reactor, owner.mark))
source = '''import signal, os, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for new in (False, True):
    print(subprocess.Popen(["sleep", "60"], start_new_session=new).pid)
print(os.getpid(), flush=True)
time.sleep(60)
'''
class Told(Witness):
    def output(self, data):
        os.write(1, data)
processes.spawn(Command((sys.executable, "-c", source), Path("/"), {{**os.environ, VARIABLE: owner.mark}}), Told())
reactor.run()
"""


class Outliving(TestCase):
    """No child outlives its daemon."""

    timeout = 30

    def daemon(self) -> tuple[subprocess.Popen[bytes], list[int]]:
        """A daemon with one stubborn child, which has two children: one in its group, one in a session of its own. Their numbers."""
        self.root = Path(temporary(self))
        source = DAEMON.format(path=HERE, root=str(self.root))
        daemon = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
        self.addCleanup(daemon.stdout.close)
        pids = [int(daemon.stdout.readline()) for _ in range(3)]
        return daemon, pids

    async def test_killed_daemon(self) -> None:
        """A daemon that was killed takes everything along: the child, its group, and who has left the group."""
        daemon, pids = self.daemon()
        daemon.kill()
        daemon.wait()
        await gone(*pids)

    async def test_killed_with_its_guard(self) -> None:
        """When the guard was killed too, the child dies with the daemon, and the next start kills the rest."""
        daemon, pids = self.daemon()
        (guard,) = (child for child in psutil.Process(daemon.pid).children() if "guard.py" in " ".join(child.cmdline()))
        guard.suspend()
        daemon.kill()
        daemon.wait()
        await gone(pids[-1])
        guard.kill()
        self.assertTrue(all(map(alive, pids[:2])))
        killed = kill_strays_blocking(self.root, self.root / ".building")
        self.assertEqual(sorted(killed), sorted(pids[:2]))
        await gone(*pids)

    def test_left_over_directory_in_use(self) -> None:
        """A directory that nobody names stays while a process works in it, whoever has started it."""
        self.root = Path(temporary(self))
        places, identifier = Places(self.root, Owner.this(self.root)), PluginIdentifier.parse(f"acme/old:1.0@{'ab' * 32}")
        places.directory(identifier).mkdir(parents=True)
        worker = subprocess.Popen(["sleep", "60"], cwd=places.directory(identifier))
        try:
            self.assertEqual(places.left_over_blocking([], math.inf), [])
        finally:
            worker.kill()
            worker.wait()
        self.assertEqual(places.left_over_blocking([], math.inf), [identifier])

    async def test_strays_of_the_living(self) -> None:
        """What a daemon that lives has started is nobody's stray, nor is what works for another path."""
        daemon, pids = self.daemon()
        self.assertEqual(kill_strays_blocking(self.root, self.root / ".building"), [])
        self.assertEqual(kill_strays_blocking(Path("/elsewhere"), Path("/elsewhere/.building")), [])
        self.assertTrue(Owner.this(self.root).lives_blocking())
        daemon.terminate()
        daemon.wait()
        await gone(*pids)
