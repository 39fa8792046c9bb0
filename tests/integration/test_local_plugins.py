"""Real processes from the first heartbeat to the last signal (local-runtime 5, 8, 11, 12, 14)."""

import os
import signal

import psutil
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from difyd.entities.installation import RuntimeType
from difyd.errors import ConnectionClosed, LaunchFailed, NoRuntime
from difyd.runtime import hooks
from difyd.runtime.sessions import OutputTooLarge
from tests.integration.local_house import STUBBORN, TALKER, TENANT, Conversation, LocalTestCase, Told, alive, call, gone

PID = ["tell", "os.getpid()"]
COUNTED = "import os\nopen('starts', 'a').write('x')\nSTARTS = len(open('starts').read())\n"


class Answers(LocalTestCase):
    """What a plugin is given, and how it answers."""

    async def test_a_call(self) -> None:
        """A package becomes a process that answers; calls are told apart and their chunks keep their order."""
        runtime = await self.up(self.add("talker"))
        answers = await gatherResults([Deferred.fromCoroutine(call(runtime, ["say", n], ["sleep", 0.05], ["say", [n]])) for n in range(20)])
        self.assertEqual(answers, [[n, [n]] for n in range(20)])

    async def test_surroundings(self) -> None:
        """It runs in its directory, as a leader of its own session, by the interpreter of its environment, without the daemon's secrets."""
        identifier = self.add("talker")
        runtime = await self.up(identifier)
        told = "[os.getcwd(), os.getsid(0) == os.getpid(), sys.orig_argv, os.environ.get('SERVER_KEY'), os.environ['INSTALL_METHOD']]"
        cwd, leads, argv, secret, method = (await call(runtime, ["tell", told]))[0]
        place = str(self.root / identifier.directory)
        self.assertEqual((cwd, leads, secret, method), (place, True, None, "local"))
        self.assertEqual(argv, [f"{place}/.venv/bin/python", "-m", "main"])

    async def test_descriptors(self) -> None:
        """Besides its three pipes it has no open file of the daemon."""
        runtime = await self.up(self.add("talker"))
        (found,) = await call(runtime, ["tell", "[os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if int(n) > 2]"])
        self.assertEqual([name for name in found if "pipe:" in name or "socket:" in name], [])

    async def test_long_line(self) -> None:
        """A line over the limit fails its own call; others and the process go on."""
        runtime = await self.up(self.add("talker"))
        other = Deferred.fromCoroutine(call(runtime, ["say", 1], ["sleep", 0.5], PID))
        with self.assertRaises(OutputTooLarge):
            await call(runtime, ["tell", "'x' * 6_000_000"])
        self.assertEqual([*await other][1:], await call(runtime, PID))

    async def test_last_line_without_newline(self) -> None:
        """What a process writes last counts, also without a newline, also when it dies with it."""
        runtime = await self.up(self.add("talker"))
        self.assertEqual(await call(runtime, ["say", 1], ["half", 0]), [1])


class Deaths(LocalTestCase):
    """A process that dies takes its calls with it, and nothing else."""

    async def test_calls_fail_at_once(self) -> None:
        """Every open call of the process hears that its connection is closed, with its chunks so far; the next call has a successor."""
        runtime = await self.up(self.add("talker"))
        (pid,) = await call(runtime, PID)
        sessions = [Conversation.of(["say", n], ["sleep", 60]) for n in range(3)]
        for session in sessions:
            await runtime.open(session)
        while not all(session.chunks for session in sessions):
            await deferLater(reactor, 0.01)
        os.kill(pid, signal.SIGKILL)
        for session in sessions:
            with self.assertRaises(ConnectionClosed):
                await session.over
        self.assertNotEqual(await call(runtime, PID), [pid])

    async def test_grandchild_holds_the_pipes(self) -> None:
        """A dead process is dead, though one that it started in a session of its own still holds its pipes; that one goes with the daemon."""
        runtime = await self.up(self.add("talker"))
        (pid,) = await call(runtime, PID)
        await call(runtime, ["escape", 60])
        os.kill(pid, signal.SIGKILL)
        while runtime.available:
            await deferLater(reactor, 0.01)
        self.assertNotEqual(await call(runtime, PID), [pid])
        while not any(isinstance(event, hooks.InstanceGone) for event in self.events):
            await deferLater(reactor, 0.05)

    async def test_closed_output(self) -> None:
        """A process that closes its standard output can answer nothing any more, and is replaced."""
        runtime = await self.up(self.add("talker"))
        (pid,) = await call(runtime, PID)
        with self.assertRaises(ConnectionClosed):
            await call(runtime, ["shut", 1])
        await gone(pid)
        self.assertNotEqual(await call(runtime, PID), [pid])

    async def test_failing_restart(self) -> None:
        """A plugin that cannot start again: calls fail soon with its last words, and attempts become rare."""
        fails = COUNTED + "import sys\nif STARTS > 1:\n    sys.exit('ImportError: no grapes')\n"
        identifier = self.add("once", {"main.py": fails + TALKER})
        runtime = await self.up(identifier)
        (pid,) = await call(runtime, PID)
        os.kill(pid, signal.SIGKILL)
        while runtime.available:
            await deferLater(reactor, 0.01)
        with self.assertRaises(NoRuntime) as why:
            await self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)
        self.assertIn("no available node, plugin runtime not found: plugin failed to start: ImportError: no grapes", str(why.exception))


class Launches(LocalTestCase):
    """How a launch ends when it does not end well."""

    async def test_dies_at_import(self) -> None:
        """The launch fails with the last words of the process; nothing runs, and a repaired package starts at once."""
        identifier = self.add("broken", {"main.py": "raise ImportError('no grapes')"})
        with self.assertRaises(LaunchFailed) as why:
            await self.supervisor.launch(identifier, Told())
        self.assertTrue(str(why.exception).startswith("failed to launch plugin: plugin failed to start: Traceback"))
        self.assertTrue(str(why.exception).endswith("ImportError: no grapes\n"))
        self.assertEqual(self.supervisor.runtimes, [])

    async def test_dies_in_silence(self) -> None:
        """Without last words the message has the exit status."""
        identifier = self.add("silent", {"main.py": "raise SystemExit(3)"})
        with self.assertRaises(LaunchFailed) as why:
            await self.supervisor.launch(identifier, Told())
        self.assertEqual(str(why.exception), "failed to launch plugin: plugin failed to start: exited with code 3")

    async def test_cancelled(self) -> None:
        """When nobody waits for a launch any more its process is ended."""
        identifier = self.add("slow", {"main.py": "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)"})
        launch = Deferred.fromCoroutine(self.supervisor.launch(identifier, Told()))
        launch.addErrback(lambda failure: None)
        note = self.root / identifier.directory / "pid"
        while not (note.exists() and note.read_text()):
            await deferLater(reactor, 0.02)
        launch.cancel()
        await gone(int(note.read_text()))

    async def test_two_are_one(self) -> None:
        """Two launches at the same time start one process, and both hear of it."""
        identifier = self.add("shared")
        await gatherResults([Deferred.fromCoroutine(self.supervisor.launch(identifier, Told())) for _ in range(3)])
        self.assertEqual(sum(isinstance(event, hooks.InstanceReady) for event in self.events), 1)


class OnDemand(LocalTestCase):
    """Calls to an installed plugin that is not up."""

    idle = 0.5

    async def test_held_until_ready(self) -> None:
        """Calls that come while it starts are held; one process answers all."""
        identifier = self.add("late", {"main.py": "import time\ntime.sleep(0.5)\n" + TALKER})
        finds = [Deferred.fromCoroutine(self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)) for _ in range(5)]
        runtimes = await gatherResults(finds)
        self.assertEqual(len({id(runtime) for runtime in runtimes}), 1)
        self.assertEqual(len(await call(runtimes[0], PID)), 1)

    async def test_idle(self) -> None:
        """Without a call for a while the process ends; the next call starts it again."""
        identifier = self.add("idle")
        runtime = await self.up(identifier)
        (pid,) = await call(runtime, PID)
        self.assertEqual(await call(runtime, ["sleep", 1.2], PID), [pid])
        await gone(pid)
        runtime = await self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)
        self.assertNotEqual(await call(runtime, PID), [pid])


class Ends(LocalTestCase):
    """What is left of a plugin when it is to end: nothing."""

    async def test_retired(self) -> None:
        """A retired plugin finishes its calls, ends, and its directory is deleted."""
        identifier = self.add("retired")
        runtime = await self.up(identifier)
        (pid,) = await call(runtime, PID)
        open_call = Deferred.fromCoroutine(call(runtime, ["say", 1], ["sleep", 0.5], ["say", 2]))
        await deferLater(reactor, 0.1)
        self.supervisor.retire(identifier)
        self.assertEqual(await open_call, [1, 2])
        await gone(pid)
        while (self.root / identifier.directory).exists():
            await deferLater(reactor, 0.02)

    async def test_retired_and_back(self) -> None:
        """A version that was left a moment ago can be taken again at once; its directory is not deleted under it."""
        identifier = self.add("back")
        runtime = await self.up(identifier)
        (pid,) = await call(runtime, PID)
        self.supervisor.retire(identifier)
        again = await self.up(identifier)
        self.assertIsNot(again, runtime)
        await gone(pid)
        await deferLater(reactor, 0.2)
        self.assertTrue((self.root / identifier.directory / "main.py").exists())
        self.assertNotEqual(await call(again, PID), [pid])

    async def test_stubborn(self) -> None:
        """One that ignores SIGTERM is killed after the grace period, and what it has started goes with it."""
        runtime = await self.up(self.add("stubborn", {"main.py": STUBBORN}))
        (pid,) = await call(runtime, PID)
        await call(runtime, ["spawn", 60])
        children = [child.pid for child in psutil.Process(pid).children()]
        self.assertEqual(len(children), 1)
        await self.supervisor.stopService()
        self.assertFalse(alive(pid))
        await gone(*children)
