"""One plugin kept running: waiting calls, restarts, sleep, stop."""

from signal import SIGKILL, SIGSEGV, SIGTERM

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import WriteFailed
from difyd.runtime.local.child import Exit
from difyd.runtime.local.instance import StartFailed
from difyd.runtime.local.runtime import Status, Unavailable
from tests.runtime.house import MemorySession, Stage, message

KILLED = Exit(signal=9)


class RuntimeCase(SynchronousTestCase):
    idle = 0.0

    def setUp(self) -> None:
        self.stage = Stage(self.idle)
        self.runtime = self.stage.runtime
        self.started = Deferred.fromCoroutine(self.runtime.start())
        self.stage.turn()

    @property
    def child(self):
        return self.stage.children.last

    def beat(self) -> None:
        self.child.beats()
        self.stage.turn()

    def open(self, session: MemorySession) -> Deferred:
        return Deferred.fromCoroutine(self.runtime.open(session))


class Starting(RuntimeCase):
    def test_ready(self) -> None:
        """It starts one process, and is up at its first heartbeat."""
        self.assertEqual((self.runtime.status, self.runtime.available), (Status.LAUNCHING, False))
        self.beat()
        self.successResultOf(self.started)
        self.assertEqual((self.runtime.status, self.runtime.available, len(self.stage.children.made)), (Status.ACTIVE, True, 1))
        self.assertEqual(self.stage.names(), ["Scaled", "InstanceStarting", "InstanceReady"])

    def test_failed(self) -> None:
        """The first start is tried once; who launches it decides what then."""
        self.child.complains(b"no grapes\n")
        self.child.ends()
        self.stage.turn()
        self.assertEqual(str(self.failureResultOf(self.started, StartFailed).value), "plugin failed to start: no grapes\n")
        self.stage.clock.pump([60] * 10)
        self.assertEqual(len(self.stage.children.made), 1)

    def test_given_up(self) -> None:
        """A start that nobody waits for any more leaves no process once it is stopped."""
        self.started.cancel()
        self.failureResultOf(self.started, CancelledError)
        stopped = Deferred.fromCoroutine(self.runtime.stop(drain=False))
        self.stage.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.child.signals, [SIGTERM])
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_place_is_left(self) -> None:
        """A process that takes long to be ready lets others start meanwhile."""
        stage = Stage(starts=1)
        first, second = stage.runtime, stage.make()
        for runtime in (first, second):
            Deferred.fromCoroutine(runtime.start()).addErrback(lambda _: None)
        self.assertEqual(len(stage.children.made), 1)
        stage.turn(10)
        self.assertEqual(len(stage.children.made), 2)

    def test_hasten(self) -> None:
        """A start for which somebody waits goes before others."""
        stage = Stage(starts=1)
        runtimes = [stage.runtime, stage.make(), stage.make()]
        for runtime in runtimes:
            Deferred.fromCoroutine(runtime.start())
        runtimes[2].hasten()
        stage.children.last.beats()
        stage.turn()
        stage.children.last.beats()
        stage.turn()
        self.assertEqual([runtime.available for runtime in runtimes], [True, False, True])


class Running(RuntimeCase):
    def setUp(self) -> None:
        super().setUp()
        self.beat()
        self.successResultOf(self.started)

    def test_open(self) -> None:
        """A call is written at once and fed from then on."""
        session = MemorySession()
        self.successResultOf(self.open(session))
        self.assertEqual(self.child.written, [session.request])
        self.child.says(message("end"))
        self.assertEqual(session.heard, ["end"])

    def test_successor(self) -> None:
        """A process that dies has a successor at once; a call that came in between waits for it and has certainly not been sent before."""
        self.child.ends(KILLED)
        waiting = self.open(MemorySession())
        self.stage.turn()
        self.assertNoResult(waiting)
        self.assertEqual((self.runtime.status, len(self.stage.children.made)), (Status.RESTARTING, 2))
        self.beat()
        self.successResultOf(waiting)
        self.assertEqual((self.child.written, self.runtime.status, self.runtime.restarts), ([MemorySession().request], Status.ACTIVE, 1))

    def test_successor_of_one_with_held_pipes(self) -> None:
        """The successor does not wait until nobody holds the pipes of the dead one."""
        self.child.exits(KILLED)
        self.stage.turn()
        self.assertEqual(len(self.stage.children.made), 2)

    def test_unread_request(self) -> None:
        """A call that was written to a process already dead is opened again on its successor, and only there."""
        session, read = MemorySession(), MemorySession("s2")
        self.successResultOf(self.open(read))
        channel = self.successResultOf(self.open(session))
        self.child.unread = len(session.request)
        self.child.ends(KILLED)
        self.stage.turn()
        self.assertEqual((session.heard, read.heard), ([], ["ConnectionClosed"]))
        self.beat()
        self.assertEqual(self.child.written, [session.request])
        channel.send(b"more\n")
        self.child.says(message("end"))
        channel.close()
        self.assertEqual((session.heard, self.child.written[1:]), (["end"], [b"more\n"]))

    def test_unread_request_in_vain(self) -> None:
        """Without a successor in the time that a call is held for, it fails like the others."""
        session = MemorySession()
        self.successResultOf(self.open(session))
        self.child.unread = len(session.request)
        self.child.ends(KILLED)
        self.stage.turn(29)
        self.assertEqual(session.heard, [])
        self.stage.turn(1)
        self.assertEqual(session.heard, ["ConnectionClosed"])

    def test_unread_request_of_one_who_left(self) -> None:
        """A call whose caller has left meanwhile is not opened again."""
        session = MemorySession()
        channel = self.successResultOf(self.open(session))
        self.child.unread = len(session.request)
        self.child.ends(KILLED)
        self.stage.turn()
        channel.close()
        self.beat()
        self.assertEqual(self.child.written, [])

    def test_window(self) -> None:
        """A call waits for a process no longer than the write window."""
        self.child.ends(KILLED)
        waiting = self.open(MemorySession())
        self.stage.turn(6)
        why = self.failureResultOf(waiting, WriteFailed)
        self.assertEqual(str(why.value), "the plugin's process killed by SIGKILL\nfailed to write request")

    def test_cancelled_while_waiting(self) -> None:
        """A caller that leaves while it waits is not sent to the plugin later."""
        self.child.ends(KILLED)
        waiting = self.open(MemorySession())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.stage.turn()
        self.beat()
        self.assertEqual(self.child.written, [])

    def fail_to_start(self) -> None:
        self.child.complains(b"no grapes\n")
        self.child.ends(Exit(3))
        self.stage.turn()

    def test_crash_loop(self) -> None:
        """One that does not start any more is tried after growing pauses; from the second failure on calls hear its last words at once."""
        self.child.ends(KILLED)
        self.stage.turn()
        held = self.open(MemorySession())
        self.fail_to_start()
        self.assertNoResult(held)
        self.stage.turn(1)
        self.fail_to_start()
        self.assertIn("no grapes", str(self.failureResultOf(held, WriteFailed).value))
        self.assertIn("no grapes", str(self.failureResultOf(self.open(MemorySession()), WriteFailed).value))
        made = []
        for _ in range(5):
            made.append(len(self.stage.children.made))
            self.stage.turn(1)
            if len(self.stage.children.made) > made[-1]:
                self.fail_to_start()
        self.assertEqual(made, [3, 3, 4, 4, 4])

    def test_killed_while_starting(self) -> None:
        """A call rides over starts that somebody kills, as long as the next one is near; then it hears what became of the last."""
        self.child.ends(KILLED)
        self.stage.turn()
        held = Deferred.fromCoroutine(self.runtime.when_available())
        for pause in (1, 2, 4, 8, 16):
            self.child.ends(KILLED)
            self.stage.turn()
            self.assertNoResult(held)
            self.stage.turn(pause)
        self.child.ends(KILLED)
        self.stage.turn()
        self.assertEqual(str(self.failureResultOf(held, Unavailable).value), "plugin failed to start: killed by SIGKILL")

    def test_crash_while_starting(self) -> None:
        """A signal that a process owes to itself is its own doing."""
        self.child.ends(KILLED)
        self.stage.turn()
        held = Deferred.fromCoroutine(self.runtime.when_available())
        self.child.ends(Exit(signal=SIGSEGV))
        self.stage.turn()
        self.stage.turn(1)
        self.child.ends(Exit(signal=SIGSEGV))
        self.stage.turn()
        self.assertEqual(str(self.failureResultOf(held, Unavailable).value), "plugin failed to start: killed by SIGSEGV")

    def test_directory(self) -> None:
        """After a failed start the working directory is looked after; while it cannot be made nothing is started, and calls hear why."""
        self.stage.broken = "no space left"
        self.child.ends(KILLED)
        self.stage.turn()
        held = Deferred.fromCoroutine(self.runtime.when_available())
        self.child.ends(KILLED)
        self.stage.turn()
        self.stage.turn(1)
        self.assertEqual(self.stage.prepared, 0)
        self.fail_to_start()
        self.stage.turn(2)
        self.assertEqual((str(self.failureResultOf(held, Unavailable).value), len(self.stage.children.made)), ("no space left", 3))
        self.stage.broken = ""
        self.stage.turn(4)
        self.beat()
        self.assertEqual((self.runtime.status, self.stage.prepared), (Status.ACTIVE, 2))

    def test_never_ready(self) -> None:
        """A start that we had to kill is the plugin's own doing; one without a process is not."""
        self.child.ends(KILLED)
        self.stage.turn()
        self.stage.children.refuses = True
        held = Deferred.fromCoroutine(self.runtime.when_available())
        self.stage.turn(120)
        self.stage.turn()
        self.stage.turn(1)
        self.stage.turn(2)
        self.assertNoResult(held)
        self.stage.children.refuses = False
        self.stage.turn(4)
        self.stage.turn(120)
        self.stage.turn()
        self.assertIn("no heartbeat received", str(self.failureResultOf(held, Unavailable).value))

    def test_cause_of_long_ago(self) -> None:
        """What an earlier process died of is not told of one that is up, nor of the next one that is only slow."""
        self.child.ends(KILLED)
        self.stage.turn()
        self.beat()
        self.assertEqual(self.stage.backoff.cause, "")

    def test_recovery(self) -> None:
        """A call that comes while another attempt is made waits for its outcome, and all is well when it succeeds."""
        self.child.ends(KILLED)
        self.stage.turn()
        self.fail_to_start()
        self.stage.turn(1)
        waiting = self.open(MemorySession())
        self.assertNoResult(waiting)
        self.beat()
        self.successResultOf(waiting)

    def test_stopped_by_who_hears_of_the_failure(self) -> None:
        """Whoever waits may stop the runtime in the very turn in which he hears that it failed: nothing is started after that."""
        self.child.ends(KILLED)
        self.stage.turn()
        self.fail_to_start()
        self.stage.turn(1)
        waiting = Deferred.fromCoroutine(self.runtime.when_available())
        stops = []
        waiting.addErrback(lambda failure: stops.append(Deferred.fromCoroutine(self.runtime.stop(drain=False))))
        self.fail_to_start()
        self.successResultOf(stops[0])
        self.stage.clock.pump([60] * 10)
        self.assertEqual(len(self.stage.children.made), 3)

    def test_stop_while_restarting(self) -> None:
        """A stop ends a start that is under way, and kills its process."""
        self.child.ends(KILLED)
        self.stage.turn()
        self.child.heeds = frozenset({SIGKILL})
        stopped = Deferred.fromCoroutine(self.runtime.stop(drain=False))
        self.assertNoResult(stopped)
        self.stage.turn(5)
        self.successResultOf(stopped)
        self.assertEqual((self.child.signals, self.stage.clock.getDelayedCalls()), ([SIGTERM, SIGKILL], []))

    def test_drain(self) -> None:
        """Draining lets the open call end, refuses new ones, and is over with the process; a harder stop cuts it short."""
        session = MemorySession()
        channel = self.successResultOf(self.open(session))
        drained = Deferred.fromCoroutine(self.runtime.stop(drain=True))
        self.failureResultOf(self.open(MemorySession("s2")), WriteFailed)
        self.assertNoResult(drained)
        self.child.says(message("end"))
        channel.close()
        self.stage.turn()
        self.successResultOf(drained)
        self.assertEqual(session.heard, ["end"])

    def test_drain_cut_short(self) -> None:
        """A stop without patience after one with it."""
        session = MemorySession()
        self.successResultOf(self.open(session))
        both = [Deferred.fromCoroutine(self.runtime.stop(drain=drain)) for drain in (True, False)]
        self.stage.turn()
        for one in both:
            self.successResultOf(one)
        self.assertEqual(session.heard, ["ConnectionClosed"])

    def test_unavailable(self) -> None:
        """A stopped runtime says so."""
        Deferred.fromCoroutine(self.runtime.stop(drain=False))
        self.failureResultOf(Deferred.fromCoroutine(self.runtime.when_available()), Unavailable)


class Idle(RuntimeCase):
    idle = 10.0

    def setUp(self) -> None:
        super().setUp()
        self.beat()

    def test_sleep(self) -> None:
        """Without a call the process ends; the next call wakes it and waits."""
        self.stage.turn(10)
        self.stage.turn()
        self.assertEqual((self.child.signals, self.runtime.status, self.runtime.available), ([SIGTERM], Status.ASLEEP, False))
        self.stage.clock.pump([30] * 5)
        self.assertEqual(len(self.stage.children.made), 1)
        waiting = self.open(MemorySession())
        self.beat()
        self.successResultOf(waiting)
        self.assertEqual((self.runtime.status, len(self.stage.children.made), self.runtime.restarts), (Status.ACTIVE, 2, 0))

    def test_a_call_keeps_it_awake(self) -> None:
        """An open call, however silent, keeps the process; the clock starts anew when it ends."""
        self.stage.turn(5)
        channel = self.successResultOf(self.open(MemorySession()))
        self.stage.turn(18)
        channel.close()
        self.stage.turn(9)
        self.assertEqual(self.child.signals, [])
        self.stage.turn(2)
        self.stage.turn()
        self.assertEqual(self.child.signals, [SIGTERM])

    def test_stop_while_asleep(self) -> None:
        """One that sleeps is stopped without more ado."""
        self.stage.turn(10)
        self.stage.turn()
        self.successResultOf(Deferred.fromCoroutine(self.runtime.stop(drain=True)))
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])
