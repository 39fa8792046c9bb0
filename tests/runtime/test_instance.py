"""One process: what it is fed, what its calls hear, how it ends and why."""

from signal import SIGKILL, SIGTERM

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import WriteFailed
from difyd.runtime import hooks
from difyd.runtime.local.channel import Channel
from difyd.runtime.local.child import Exit, Stream
from difyd.runtime.local.instance import Instance, Limits, NotTaken, StartFailed
from tests.runtime.children import HEARTBEAT, MemoryChildren
from tests.runtime.house import COMMAND, IDENTIFIER, MemorySession, message


class InstanceCase(SynchronousTestCase):
    limits = Limits(line=200, queue=1000)

    def setUp(self) -> None:
        self.clock = Clock()
        self.children = MemoryChildren(self.clock)
        self.events: list[hooks.Event] = []
        self.lost: list[Instance] = []
        self.orphans: list[Channel] = []
        self.instance = Instance(IDENTIFIER, self.clock, self.limits, self.events.append, self.lost.append, self.orphans.extend)
        self.started = Deferred.fromCoroutine(self.instance.start(self.children, COMMAND))

    @property
    def child(self):
        return self.children.last

    def ready(self) -> None:
        self.child.beats()
        self.clock.advance(0)
        self.successResultOf(self.started)

    def told(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


class Starting(InstanceCase):
    def test_first_heartbeat(self) -> None:
        """Nothing but a heartbeat makes it ready, and nothing is written to it before."""
        self.child.says(b'{"name":"manifest"}\n', b"hello\n")
        self.clock.advance(1.5)
        self.assertNoResult(self.started)
        self.child.says(HEARTBEAT[:10])
        self.child.says(HEARTBEAT[10:])
        self.clock.advance(0)
        self.successResultOf(self.started)
        self.assertEqual(self.child.written, [])
        self.assertEqual(self.told(hooks.InstanceReady)[0].seconds, 1.5)

    def test_words_before_the_exit_are_waited_for(self) -> None:
        """A process that dies shows its last words, though they are read after its exit (local-runtime 14.10)."""
        self.child.exits(Exit(1))
        self.clock.advance(0)
        self.assertNoResult(self.started)
        self.child.complains(b"ImportError: no grapes\n")
        self.instance.ended()
        self.clock.advance(0)
        why = self.failureResultOf(self.started, StartFailed)
        self.assertEqual(str(why.value), "plugin failed to start: ImportError: no grapes\n")

    def test_silent_exit(self) -> None:
        """Without words it is the status or the signal; told once, and as one process that is gone."""
        for how, text in ((Exit(3), "exited with code 3"), (Exit(signal=9), "killed by SIGKILL")):
            self.setUp()
            self.child.ends(how)
            self.clock.advance(0)
            self.assertEqual(str(self.failureResultOf(self.started, StartFailed).value), f"plugin failed to start: {text}")
            self.assertEqual([event.cause for event in self.told(hooks.InstanceFailed)], [f"plugin failed to start: {text}"])
            self.assertEqual(len(self.told(hooks.InstanceGone)), 1)

    def test_no_heartbeat(self) -> None:
        """It is killed after two minutes, however much it says; the reason is the missing heartbeat."""
        for _ in range(12):
            self.child.says(b"still here\n")
            self.child.complains(b"loading\n")
            self.clock.advance(10)
        self.clock.advance(0)
        self.assertEqual(self.child.signals, [SIGKILL])
        self.clock.advance(0)
        text = str(self.failureResultOf(self.started, StartFailed).value)
        self.assertTrue(text.startswith("failed to start plugin as no heartbeat received: "))
        self.assertEqual(len(self.told(hooks.InstanceFailed)), 1)

    def test_not_spawned(self) -> None:
        """A system without processes to give is a failed start like any other."""
        self.children.refuses = True
        instance = Instance(IDENTIFIER, self.clock, self.limits, self.events.append, self.lost.append, self.orphans.extend)
        started = Deferred.fromCoroutine(instance.start(self.children, COMMAND))
        self.assertIn("no more processes", str(self.failureResultOf(started, StartFailed).value))
        self.successResultOf(instance.when_gone())

    def test_closed_output(self) -> None:
        """One that closes its output before it is ready, and does not end, is killed; the cause is not the signal."""
        self.child.shuts(Stream.OUTPUT)
        self.clock.advance(1)
        self.clock.advance(0)
        self.clock.advance(0)
        why = str(self.failureResultOf(self.started, StartFailed).value)
        self.assertEqual((self.child.signals, why), ([SIGKILL], "plugin failed to start: closed its standard output and was ended"))

    def test_stopped(self) -> None:
        """One that is stopped before it is ready ends, and is no failure of the plugin's."""
        self.instance.stop()
        self.assertEqual(self.child.signals, [SIGTERM])
        self.clock.advance(0)
        self.clock.advance(0)
        self.failureResultOf(self.started, StartFailed)
        self.assertEqual(self.told(hooks.InstanceFailed), [])


class Calls(InstanceCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()
        self.session = MemorySession()

    def test_a_call(self) -> None:
        """The request is written, each read feeds the session once, after the close nothing is fed."""
        channel = self.instance.open(self.session)
        self.assertEqual(self.child.written, [b"request of s1\n"])
        self.child.says(message("stream", 1), message("stream", 2))
        channel.send(b"more\n")
        channel.close()
        channel.close()
        self.child.says(message("stream", 3))
        self.assertEqual((self.session.heard, self.child.written[1:]), ([1, 2, "flush"], [b"more\n"]))

    def test_death(self) -> None:
        """What it wrote last still counts, also without a newline; then its calls hear that the connection is closed."""
        done, cut = self.session, MemorySession("s2")
        self.instance.open(done)
        self.instance.open(cut)
        self.child.exits(Exit(signal=9))
        self.assertEqual((cut.heard, self.lost), ([], [self.instance]))
        self.child.says(message("stream", 1), message("end")[:-1])
        self.child.shuts(Stream.OUTPUT)
        self.instance.ended()
        self.assertEqual((done.heard[:3], cut.heard), ([1, "flush", "end"], ["ConnectionClosed"]))
        self.assertEqual(self.instance.cause(), "the plugin's process killed by SIGKILL")

    def test_unread(self) -> None:
        """Calls whose request a dead process has certainly not read are given away; one of which it took a byte is not."""
        sessions = [MemorySession(f"s{n}") for n in range(4)]
        channels = [self.instance.open(session) for session in sessions]
        channels[3].close()
        self.child.unread = 3 * len(sessions[0].request) - 1
        self.child.exits(Exit(signal=9))
        self.assertEqual(self.orphans, channels[2:3])
        self.instance.ended()
        self.assertEqual([session.heard for session in sessions], [["ConnectionClosed"], ["ConnectionClosed"], [], []])

    def test_closed_input(self) -> None:
        """A process that no longer reads has certainly not got the call, which may go to another; it gets a second to end by itself."""
        open_call = MemorySession("s0")
        self.instance.open(open_call)
        self.child.reads = False
        with self.assertRaises(NotTaken):
            self.instance.open(self.session)
        self.assertEqual((self.lost, self.child.signals), ([self.instance], []))
        self.child.says(message("end", session="s0"))
        self.clock.advance(1)
        self.assertEqual((open_call.heard[0], self.child.signals), ("end", [SIGTERM]))

    def test_closed_output(self) -> None:
        """So it is with one that no longer writes; what it is told to have died of is not our signal."""
        self.child.shuts(Stream.OUTPUT)
        self.clock.advance(1)
        self.clock.advance(0)
        self.assertEqual(self.child.signals, [SIGTERM])
        self.assertEqual(self.instance.cause(), "the plugin's process closed its standard output and was ended")

    def test_not_reading(self) -> None:
        """With too much unread, the new call is refused; those that are open stay."""
        self.instance.open(self.session)
        self.child.queued = 1001
        with self.assertRaises(WriteFailed):
            self.instance.open(MemorySession("s2"))
        self.assertEqual(self.session.heard, [])

    def test_long_line(self) -> None:
        """An over-long line fails its own call alone."""
        other = MemorySession("s2")
        self.instance.open(self.session)
        self.instance.open(other)
        self.child.says(message("stream", "x" * 500), message("end", session="s2"))
        self.assertEqual((self.session.heard, other.heard), (["OutputTooLarge"], ["end"]))

    def test_endless_error_line(self) -> None:
        """An endless line on standard error is cut, and read on."""
        for _ in range(100):
            self.child.complains(b"x" * 65536)
        self.child.complains(b"\nthe end\n")
        lines = [event.text for event in self.told(hooks.InstanceErrorLine)]
        self.assertEqual(lines, ["x" * 1024, "the end"])

    def test_talkative(self) -> None:
        """Of thousands of lines some hundred reach the log, and the next one says how many did not."""
        self.child.complains(b"line\n" * 5000)
        self.clock.advance(10)
        self.child.beats()
        self.child.complains(b"late\n")
        lines = [event.text for event in self.told(hooks.InstanceErrorLine)]
        self.assertEqual((len(lines), lines[-1]), (201, "late (and 4800 lines before it that were left out)"))


class Ending(InstanceCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()
        self.session = MemorySession()

    def test_stop(self) -> None:
        """Calls hear of it at once; SIGTERM, SIGKILL after the grace period, and it is over when the pipes are."""
        self.child.heeds = frozenset({SIGKILL})
        self.instance.open(self.session)
        gone = self.instance.when_gone()
        self.instance.stop()
        self.assertEqual((self.session.heard, self.child.signals), (["ConnectionClosed"], [SIGTERM]))
        self.clock.advance(5)
        self.assertEqual(self.child.signals, [SIGTERM, SIGKILL])
        self.successResultOf(gone)
        self.assertEqual(self.told(hooks.InstanceGone)[0].wanted, True)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drain(self) -> None:
        """It takes no new calls, lets the open one end, and goes with it."""
        channel = self.instance.open(self.session)
        self.instance.drain()
        with self.assertRaises(NotTaken):
            self.instance.open(MemorySession("s2"))
        self.child.says(message("end"))
        self.assertEqual(self.child.signals, [])
        channel.close()
        self.assertEqual(self.child.signals, [SIGTERM])
        self.assertEqual(self.session.heard[0], "end")

    def test_drain_limit(self) -> None:
        """A call that does not end within the limit is cut."""
        self.instance.open(self.session)
        self.instance.drain()
        self.clock.advance(600)
        self.assertEqual((self.session.heard, self.child.signals), (["ConnectionClosed"], [SIGTERM]))

    def test_drain_without_calls(self) -> None:
        """With no call open there is nothing to wait for."""
        self.instance.drain()
        self.assertEqual(self.child.signals, [SIGTERM])

    def test_silence(self) -> None:
        """After a minute there is a warning, some time after two the process ends; its calls fail with it."""
        self.instance.open(self.session)
        self.clock.pump([30] * 3)
        self.assertEqual(
            [event.text for event in self.told(hooks.InstanceWarning)], [f"plugin {IDENTIFIER} is not active for 90 seconds, it may be dead"]
        )
        self.clock.pump([30] * 2 + [4.9])
        self.assertEqual(self.child.signals, [])
        self.clock.advance(0.2)
        self.assertEqual((self.session.heard, self.child.signals), (["ConnectionClosed"], [SIGTERM]))
        self.assertIn("is not active for 155 seconds, it may be dead, captured error logs: ", self.told(hooks.InstanceFailed)[0].cause)

    def test_anything_is_a_sign_of_life(self) -> None:
        """Any byte on either pipe counts, half a line too."""
        for _ in range(10):
            self.child.says(b"x")
            self.clock.advance(50)
            self.child.complains(b"y")
            self.clock.advance(50)
        self.assertEqual(self.child.signals, [])

    def test_we_were_away(self) -> None:
        """When the machine has slept, a plugin gets the time to say that it lives."""
        self.clock.advance(3600)
        self.child.beats()
        self.clock.advance(5)
        self.clock.advance(30)
        self.assertEqual(self.child.signals, [])
