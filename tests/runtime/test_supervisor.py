"""Who runs, who is to run, who must end."""

from collections.abc import Callable, Collection
from pathlib import Path
from signal import SIGKILL, SIGTERM

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import LaunchFailed, NoRuntime, PluginNotFound, ShuttingDown, StorageFailed
from difyd.runtime.hooks import Hooks
from difyd.runtime.interfaces import IPackages, IProgress
from difyd.runtime.local.child import Exit
from difyd.runtime.local.environment import BuildFailed, IEnvironments
from difyd.runtime.local.surroundings import Surroundings
from difyd.runtime.slots import Slot, Slots
from difyd.runtime.starter import WAITING, Local, go_duration
from difyd.runtime.supervisor import Patience, Supervisor
from tests.invoke.fakes import MemoryRuntime
from tests.runtime.house import DECLARATION, MemorySession, Stage

T1, T2 = "tenant-1", "tenant-2"
WEATHER, NEWS = (PluginIdentifier.parse(f"acme/{name}:0.0.1@{'ab' * 32}") for name in ("weather", "news"))
KILLED = Exit(signal=9)


@implementer(IPackages)
@define(eq=False)
class MemoryPackages:
    """`present` is installed; while `asked` is a Deferred, the answer waits for it."""

    present: set[PluginIdentifier] = field(factory=set)
    declared: dict[PluginIdentifier, Declaration] = field(factory=lambda: {WEATHER: DECLARATION, NEWS: DECLARATION})
    unused: set[PluginIdentifier] = field(factory=set)
    """What nobody has installed (any more)."""
    answers: list[Deferred[None]] = field(factory=list)
    """The next questions for it are answered when these fire."""
    asked: Deferred[None] | None = None
    broken: bool = False

    async def installed(self) -> list[PluginIdentifier]:
        if self.broken:
            raise StorageFailed("the disk is away")
        found = list(self.present)
        if self.asked is not None:
            await self.asked
        return found

    async def in_use(self, identifier: PluginIdentifier) -> bool:
        if self.answers:
            await self.answers.pop()
        return identifier not in self.unused

    async def named(self) -> set[PluginIdentifier]:
        if self.broken:
            raise StorageFailed("the disk is away")
        return self.present

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        if identifier not in self.declared:
            raise PluginNotFound
        return self.declared[identifier]

    async def fetch(self, identifier: PluginIdentifier, destination: Path) -> None:
        raise StorageFailed("nobody asks for it here")


@implementer(IEnvironments)
@define(eq=False)
class MemoryEnvironments:
    """Ready at once, unless a build is `held`; what was removed is noted."""

    removed: list[PluginIdentifier] = field(factory=list)
    there: list[PluginIdentifier] = field(factory=list)
    """Old working directories."""
    held: Deferred[None] | None = None
    fails: str = ""

    async def prepare(self, identifier: PluginIdentifier, progress: IProgress, slot: Slot) -> Path:
        await slot.take()
        try:
            progress.info("Resolved 3 packages")
            if self.held is not None:
                await self.held
            if self.fails:
                raise BuildFailed(self.fails)
        finally:
            slot.leave()
        return Path("/root", identifier.directory)

    async def left_over(self, named: Collection[PluginIdentifier]) -> list[PluginIdentifier]:
        return [identifier for identifier in self.there if identifier not in named]

    async def remove(self, identifier: PluginIdentifier) -> None:
        self.removed.append(identifier)


@implementer(IProgress)
@define(eq=False)
class Told:
    lines: list[str] = field(factory=list)

    def info(self, text: str) -> None:
        self.lines.append(text)


async def nothing() -> None:
    """Nothing was left by an earlier daemon."""


class SupervisorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage()
        self.clock, self.children = self.stage.clock, self.stage.children
        self.packages, self.environments = MemoryPackages(), MemoryEnvironments()
        self.local = Local(
            self.packages, self.environments, self.stage.runtimes, Surroundings({}, frozenset(), "m"), Slots(2), self.children, nothing
        )
        hooks = Hooks()
        hooks.add(self.stage.events.append)
        self.supervisor = Supervisor(self.clock, self.local, Patience(30.0, 120.0), hooks, lambda: 0.5)

    def launch(self, identifier: PluginIdentifier = WEATHER, told: Told | None = None) -> Deferred[None]:
        return Deferred.fromCoroutine(self.supervisor.launch(identifier, told or Told()))

    def find(self, identifier: PluginIdentifier = WEATHER, tenant: str = T1) -> Deferred:
        return Deferred.fromCoroutine(self.supervisor.find(tenant, identifier, RuntimeType.LOCAL))

    def ready(self) -> None:
        """The process that was started last says that it lives."""
        self.children.last.beats()
        self.stage.turn()

    def fails(self) -> None:
        """The process that was started last dies with a word."""
        self.children.last.complains(b"no grapes\n")
        self.children.last.ends(Exit(3))
        self.stage.turn()

    def up(self, identifier: PluginIdentifier = WEATHER):
        launched = self.launch(identifier)
        self.ready()
        self.successResultOf(launched)
        return self.successResultOf(self.find(identifier))

    def begin(self) -> None:
        self.supervisor.startService()
        self.stage.turn()


class Launching(SupervisorCase):
    def test_ready(self) -> None:
        """A launch is over at the first heartbeat; the command is that of the environment and the manifest."""
        launched = self.launch()
        self.assertNoResult(launched)
        self.ready()
        self.successResultOf(launched)
        place = f"/root/{WEATHER.directory}"
        self.assertEqual(self.children.last.command.arguments, (f"{place}/.venv/bin/python", "-m", "main"))
        self.assertEqual(self.stage.names(), ["Starting", "Scaled", "InstanceStarting", "InstanceReady", "Ready"])
        self.successResultOf(self.launch())
        self.assertEqual(len(self.children.made), 1)

    def test_joined(self) -> None:
        """Several launches are one, and each hears how far it is from when it came."""
        self.environments.held = Deferred()
        first, second = Told(), Told()
        launches = [self.launch(told=first), self.launch(told=second)]
        self.environments.held.callback(None)
        self.stage.turn(5)
        self.ready()
        for launched in launches:
            self.successResultOf(launched)
        self.stage.turn(5)
        self.assertEqual((first.lines, second.lines), ([WAITING], [WAITING]))
        self.assertEqual(len(self.children.made), 1)

    def test_one_leaves(self) -> None:
        """Who cancels leaves; the others wait on, and the last one ends it."""
        launches = [self.launch(), self.launch()]
        launches[0].cancel()
        self.failureResultOf(launches[0], CancelledError)
        self.stage.turn()
        self.assertEqual(self.children.last.signals, [])
        launches[1].cancel()
        self.failureResultOf(launches[1], CancelledError)
        self.stage.turn()
        self.assertEqual((self.children.last.signals, self.supervisor.launching), ([SIGTERM], 0))

    def test_after_the_last_one_left(self) -> None:
        """A new launch waits until an abandoned one is cleared away, and begins from the start."""
        launch = self.launch()
        self.children.last.heeds = frozenset({SIGKILL})
        launch.cancel()
        self.failureResultOf(launch, CancelledError)
        again = self.launch()
        self.assertEqual(len(self.children.made), 1)
        self.stage.turn(5)
        self.assertEqual(len(self.children.made), 2)
        self.ready()
        self.successResultOf(again)

    def test_failed_start(self) -> None:
        """The text is the one of the chapter; nothing runs; the next launch begins anew."""
        launched = self.launch()
        self.fails()
        self.assertEqual(
            str(self.failureResultOf(launched, LaunchFailed).value), "failed to launch plugin: plugin failed to start: no grapes\n"
        )
        self.assertEqual(self.stage.names()[-1], "StartFailed")
        self.up()

    def test_failed_build(self) -> None:
        """An environment that cannot be made fails the launch with its cause."""
        self.environments.fails = "no such grapes"
        why = self.failureResultOf(self.launch(), LaunchFailed).value
        self.assertEqual(str(why), "failed to launch plugin: no such grapes\nfailed to init environment")
        self.assertEqual(self.children.made, [])

    def test_unknown(self) -> None:
        """Without a declaration there is nothing to launch."""
        self.packages.declared.clear()
        self.assertEqual(str(self.failureResultOf(self.launch(), LaunchFailed).value), "failed to launch plugin: plugin not found")

    def test_other_language(self) -> None:
        """Only Python plugins run."""
        self.packages.declared[WEATHER] = Declaration.decode(b'{"meta":{"runner":{"language":"cobol"}}}')
        self.assertIn("unsupported language: cobol", str(self.failureResultOf(self.launch(), LaunchFailed).value))

    def test_never_ready(self) -> None:
        """The limit is counted from the environment on; the process is gone when the launch fails, and its last words are told."""
        self.supervisor = Supervisor(self.clock, self.local, Patience(30.0, 60.0), Hooks(), lambda: 0.5)
        launched = self.launch()
        self.children.last.heeds = frozenset({SIGKILL})
        self.children.last.complains(b"looking for grapes\n")
        self.clock.advance(60)
        self.assertNoResult(launched)
        self.stage.turn(5)
        text = "timed out on waiting for plugin to be ready after 1m0s, please contract the administrator to check the logs"
        self.assertEqual(str(self.failureResultOf(launched, LaunchFailed).value), f"{text}: looking for grapes\n")
        self.assertEqual(self.children.last.signals, [SIGTERM, SIGKILL])

    def test_durations(self) -> None:
        """Seconds as the reference writes them."""
        self.assertEqual([go_duration(n) for n in (6, 45, 120, 640, 3605)], ["6s", "45s", "2m0s", "10m40s", "1h0m5s"])


class Finding(SupervisorCase):
    def test_running(self) -> None:
        """A running plugin is found without a turn of the reactor."""
        runtime = self.up()
        self.assertIs(self.successResultOf(self.find(tenant=T2)), runtime)

    def test_on_demand(self) -> None:
        """A plugin that is not up is started for the call, which is held; all calls share the start."""
        held = [self.find() for _ in range(3)]
        self.ready()
        self.assertEqual(len({id(self.successResultOf(one)) for one in held}), 1)
        self.assertEqual(len(self.children.made), 1)

    def test_not_installed(self) -> None:
        """What nobody has installed is not started for a caller who names it."""
        self.packages.unused.add(WEATHER)
        self.assertIn("nobody has this version installed", str(self.failureResultOf(self.find(tenant=""), NoRuntime).value))
        self.assertEqual((self.children.made, self.stage.events), ([], []))

    def test_late_answer(self) -> None:
        """A call that is still asking whether the plugin is installed, while another one has it started, gets that one's."""
        answer: Deferred[None] = Deferred()
        self.packages.answers = [answer]
        late = self.find()
        runtime = self.up()
        answer.callback(None)
        self.assertIs(self.successResultOf(late), runtime)
        self.assertEqual(len(self.children.made), 1)

    def test_held_too_long(self) -> None:
        """After the wait the call fails, with a word on how far the plugin is; the start goes on for the next one."""
        self.environments.held = Deferred()
        early = self.find()
        self.stage.turn(30)
        self.assertIn("within 30 seconds: Resolved 3 packages", str(self.failureResultOf(early, NoRuntime).value))
        self.environments.held.callback(None)
        held = self.find()
        self.stage.turn(30)
        text = f"no available node, plugin runtime not found: the plugin was not ready within 30 seconds: {WAITING}"
        self.assertEqual(str(self.failureResultOf(held, NoRuntime).value), text)
        self.ready()
        self.successResultOf(self.find())

    def test_cause(self) -> None:
        """The second start that fails tells the calls why, at once; so are told those that come before the next attempt is due."""
        held = self.find()
        self.fails()
        self.assertNoResult(held)
        self.stage.turn(1)
        self.fails()
        for one in (held, self.find()):
            self.assertIn("no grapes", str(self.failureResultOf(one, NoRuntime).value))
        self.assertEqual(len(self.children.made), 2)
        self.stage.turn(2)
        again = self.find()
        self.ready()
        self.successResultOf(again)

    def test_killed_while_it_starts(self) -> None:
        """Calls ride over starts that somebody kills, sharing one attempt after each pause; when the wait ends they hear what happened."""
        held = [self.find() for _ in range(2)]
        for pause in (1, 2):
            self.children.last.ends(KILLED)
            self.stage.turn()
            self.stage.turn(pause)
        self.ready()
        self.assertIs(*map(self.successResultOf, held))
        self.assertEqual(len(self.children.made), 3)

    def test_killed_for_too_long(self) -> None:
        """When the wait ends they hear what became of the last attempt."""
        held = self.find()
        for pause in (1, 2, 4, 8):
            self.children.last.ends(KILLED)
            self.stage.turn()
            self.stage.turn(pause)
        self.stage.turn(15)
        text = "the plugin was not ready within 30 seconds: failed to launch plugin: plugin failed to start: killed by SIGKILL"
        self.assertTrue(str(self.failureResultOf(held, NoRuntime).value).endswith(text))

    def test_uninstalled_in_the_pause(self) -> None:
        """A call that waits for the next attempt does not start a plugin that was uninstalled meanwhile."""
        held = self.find()
        self.children.last.ends(KILLED)
        self.stage.turn()
        self.packages.unused.add(WEATHER)
        self.supervisor.retire(WEATHER)
        self.stage.turn(1)
        self.assertIn("nobody has this version installed", str(self.failureResultOf(held, NoRuntime).value))
        self.assertEqual(len(self.children.made), 1)

    def test_stopped_in_the_pause(self) -> None:
        """Nor one of a daemon that is shutting down."""
        held = self.find()
        self.children.last.ends(KILLED)
        self.stage.turn()
        self.supervisor.startService()
        self.supervisor.stopService()
        self.stage.turn(1)
        self.failureResultOf(held, NoRuntime)
        self.assertEqual(len(self.children.made), 1)

    def test_held_at_the_end(self) -> None:
        """When the daemon is about to stop, the calls that it holds hear so; one whose caller leaves is no concern of it."""
        held, left = self.find(), self.find()
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.supervisor.end_held()
        self.failureResultOf(held, ShuttingDown)

    def test_installed_in_the_pause(self) -> None:
        """An install in the pause starts it at once; the calls get that start."""
        held = self.find()
        self.children.last.ends(KILLED)
        self.stage.turn()
        runtime = self.up()
        self.stage.turn(1)
        self.assertIs(self.successResultOf(held), runtime)
        self.assertEqual(len(self.children.made), 2)

    def test_install_resets(self) -> None:
        """A new install does not wait for the pause after failures."""
        self.find().addErrback(lambda _: None)
        self.fails()
        self.up()

    def test_install_of_one_that_fails(self) -> None:
        """An install of a plugin that runs for others, but does not start any more just now, has it tried at once."""
        self.up()
        self.children.last.ends(KILLED)
        self.stage.turn()
        self.fails()
        self.stage.turn(1)
        self.fails()
        self.failureResultOf(self.find(), NoRuntime)
        launched = self.launch()
        self.stage.turn()
        self.assertEqual(len(self.children.made), 4)
        self.ready()
        self.successResultOf(launched)

    def test_install_of_one_that_is_slow(self) -> None:
        """The same for one that is just being replaced, and does not get ready: the text is that of any install."""
        self.up()
        self.children.last.ends(KILLED)
        self.stage.turn()
        launched = self.launch()
        self.stage.clock.pump([30] * 3 + [29.9, 0.2])
        self.assertIn("after 2m0s", str(self.failureResultOf(launched, LaunchFailed).value))

    def test_caller_leaves(self) -> None:
        """A caller that leaves does not end the start of an installed plugin."""
        held = self.find()
        held.cancel()
        self.failureResultOf(held, CancelledError)
        self.ready()
        self.successResultOf(self.find())

    def test_restarting(self) -> None:
        """While a process is replaced, calls wait for the successor."""
        runtime = self.up()
        self.children.last.ends(KILLED)
        held = self.find()
        self.stage.turn()
        self.assertNoResult(held)
        self.ready()
        self.assertIs(self.successResultOf(held), runtime)

    def test_other_kinds(self) -> None:
        """What does not run here is not started here."""
        for tenant, kind in (("", RuntimeType.REMOTE), (T1, RuntimeType.SERVERLESS)):
            self.failureResultOf(Deferred.fromCoroutine(self.supervisor.find(tenant, WEATHER, kind)), NoRuntime)

    def test_expected_back(self) -> None:
        """A plugin under development that is listed may be about to connect, after a restart of the daemon: its callers wait for a second."""
        debugged = MemoryRuntime(identifier=PluginIdentifier.parse(f"acme/weather:9.9.9@{'1' * 64}"))
        first, second, other = (Deferred.fromCoroutine(self.supervisor.find(tenant, WEATHER, RuntimeType.REMOTE)) for tenant in (T1, T1, T2))
        self.stage.turn(0.9)
        self.assertNoResult(first)
        self.supervisor.connected(T1, debugged)
        self.assertIs(self.successResultOf(first), debugged)
        self.assertIs(self.successResultOf(second), debugged)
        self.stage.turn(0.2)
        self.assertIn("not connected", str(self.failureResultOf(other, NoRuntime).value))
        self.supervisor.connected(T2, debugged)

    def test_expected_in_vain(self) -> None:
        """A daemon that stops makes nobody wait."""
        waiting = Deferred.fromCoroutine(self.supervisor.find(T1, WEATHER, RuntimeType.REMOTE))
        self.supervisor.end_held()
        self.failureResultOf(waiting, ShuttingDown)
        self.failureResultOf(Deferred.fromCoroutine(self.supervisor.find(T1, WEATHER, RuntimeType.REMOTE)), ShuttingDown)

    def test_shadow(self) -> None:
        """A debugging connection answers its tenant's calls to the plugin id, in whatever version, until it is gone."""
        runtime = self.up()
        debugged, later = (MemoryRuntime(identifier=PluginIdentifier.parse(f"acme/weather:9.9.9@{n * 64}")) for n in "12")
        self.supervisor.connected(T1, debugged)
        self.assertIs(self.successResultOf(self.find()), debugged)
        self.assertIs(self.successResultOf(self.find(tenant=T2)), runtime)
        self.supervisor.connected(T1, later)
        self.supervisor.disconnected(T1, debugged)
        self.assertIs(self.successResultOf(self.find()), later)
        later.available = False
        self.assertIs(self.successResultOf(self.find()), runtime)
        reconnecting = Deferred.fromCoroutine(self.supervisor.find(T1, WEATHER, RuntimeType.REMOTE))
        self.assertIs(self.successResultOf(reconnecting), later)
        self.supervisor.disconnected(T1, later)
        self.assertIs(self.successResultOf(self.find()), runtime)

    def test_by_identifier_alone(self) -> None:
        """Who names no tenant finds a debugging connection by its identifier, and never by its plugin id."""
        runtime = self.up()
        debugged = MemoryRuntime(identifier=PluginIdentifier.parse(f"acme/weather:9.9.9@{'1' * 64}"))
        self.supervisor.connected(T1, debugged)
        found = Deferred.fromCoroutine(self.supervisor.find("", debugged.identifier, RuntimeType.LOCAL))
        self.assertIs(self.successResultOf(found), debugged)
        self.assertIs(self.successResultOf(self.find(tenant="")), runtime)
        self.supervisor.disconnected(T1, debugged)
        self.failureResultOf(Deferred.fromCoroutine(self.supervisor.find("", debugged.identifier, RuntimeType.REMOTE)), NoRuntime)


class Watching(SupervisorCase):
    def test_boot(self) -> None:
        """What is installed is started; the rest is not."""
        self.packages.present = {WEATHER, NEWS}
        self.begin()
        self.assertEqual(len(self.children.made), 2)

    def test_new_elsewhere(self) -> None:
        """What another node installs is started within a round."""
        self.begin()
        self.packages.present = {WEATHER}
        self.stage.turn(30)
        self.assertEqual(len(self.children.made), 1)

    def test_uninstalled_elsewhere(self) -> None:
        """What another node uninstalls is stopped within a round, once it was looked for twice."""
        self.packages.present = {WEATHER}
        self.begin()
        self.ready()
        self.packages.present = set()
        self.stage.turn(30)
        self.assertEqual(self.children.last.signals, [])
        self.stage.turn(5)
        self.stage.turn()
        self.assertEqual((self.children.last.signals, self.environments.removed), ([SIGTERM], [WEATHER]))

    def test_storage_that_is_slow(self) -> None:
        """What is missing at the first look and there at the second runs on."""
        self.packages.present = {WEATHER}
        self.begin()
        self.ready()
        self.packages.present = set()
        self.stage.turn(30)
        self.packages.present = {WEATHER}
        self.stage.turn(5)
        self.stage.turn()
        self.assertEqual((self.children.last.signals, self.environments.removed), ([], []))

    def test_list_that_is_out_of_date(self) -> None:
        """A plugin whose install came to its end while the list was on its way is not taken for an uninstalled one."""
        self.packages.asked = Deferred()
        self.begin()
        self.supervisor.reserve(WEATHER)
        self.up()
        self.supervisor.release(WEATHER)
        self.packages.asked.callback(None)
        self.stage.turn(5)
        self.stage.turn()
        self.assertEqual(self.children.last.signals, [])

    def test_reserved(self) -> None:
        """While somebody installs a plugin the watch leaves it alone, in both directions."""
        self.packages.present = {WEATHER}
        for _ in range(2):
            self.supervisor.reserve(WEATHER)
        self.begin()
        self.assertEqual(self.children.made, [])
        self.supervisor.release(WEATHER)
        self.stage.turn(30)
        self.assertEqual(self.children.made, [])
        self.supervisor.release(WEATHER)
        self.stage.turn(30)
        self.assertEqual(len(self.children.made), 1)

    def test_failing(self) -> None:
        """Failing starts become rare and end after fifteen; a call or an install tries again."""
        self.packages.present = {WEATHER}
        self.begin()
        for _ in range(200):
            if self.children.made and self.children.last.exit is None:
                self.fails()
            self.stage.turn(30)
        self.assertEqual(len(self.children.made), 15)
        held = self.find()
        self.ready()
        self.successResultOf(held)

    def test_sweep(self) -> None:
        """The start deletes old directories of plugins that nobody has installed, except what is being installed just now."""
        self.packages.present, self.environments.there = {WEATHER}, [WEATHER, NEWS]
        self.begin()
        self.assertEqual(self.environments.removed, [NEWS])

    def test_sweep_beside_an_install(self) -> None:
        """What somebody installs just now is not deleted under his hands."""
        self.packages.present, self.environments.there = {WEATHER}, [NEWS]
        self.supervisor.reserve(NEWS)
        self.begin()
        self.assertEqual(self.environments.removed, [])

    def test_no_sweep(self) -> None:
        """Nothing is deleted when nothing at all is installed (is it the right database?), when it does not say, or when it is switched off."""
        self.environments.there = [NEWS]
        self.begin()
        for broken, sweeps in ((True, True), (False, False)):
            self.packages.present, self.packages.broken = {WEATHER}, broken
            Supervisor(self.clock, evolve(self.local, sweeps=sweeps), Patience(30.0, 120.0), Hooks(), lambda: 0.5).startService()
            self.stage.turn()
        self.assertEqual(self.environments.removed, [])

    def test_bad_round(self) -> None:
        """A round that fails is logged, and the next one comes."""
        self.packages.broken = True
        self.begin()
        self.packages.broken, self.packages.present = False, {WEATHER}
        self.stage.turn(30)
        self.assertEqual(len(self.children.made), 1)


class Retiring(SupervisorCase):
    def test_drained(self) -> None:
        """Out of service at once; open calls end; then process and directory go."""
        runtime = self.up()
        session = MemorySession()
        channel = self.successResultOf(Deferred.fromCoroutine(runtime.open(session)))
        self.supervisor.retire(WEATHER)
        self.assertEqual((self.supervisor.runtimes, self.children.last.signals, self.environments.removed), ([], [], []))
        channel.close()
        self.stage.turn()
        self.assertEqual((self.children.last.signals, self.environments.removed), ([SIGTERM], [WEATHER]))
        self.assertEqual(self.stage.names()[-3:], ["Stopping", "InstanceGone", "Stopped"])

    def test_not_running(self) -> None:
        """A plugin that does not run has a directory all the same."""
        self.supervisor.retire(WEATHER)
        self.assertEqual(self.environments.removed, [WEATHER])

    def test_taken_again(self) -> None:
        """A version that is taken again while its old process drains runs in a new one; its directory stays."""
        old = self.up()
        session = MemorySession()
        channel = self.successResultOf(Deferred.fromCoroutine(old.open(session)))
        self.supervisor.retire(WEATHER)
        new = self.up()
        self.assertIsNot(new, old)
        channel.close()
        self.stage.turn()
        self.assertEqual(self.environments.removed, [])
        self.assertIs(self.successResultOf(self.find()), new)

    def test_while_it_starts(self) -> None:
        """A launch that is under way ends; who waits for it hears so; no process stays."""
        launched = self.launch()
        self.supervisor.retire(WEATHER)
        self.stage.turn()
        self.failureResultOf(launched, LaunchFailed)
        self.assertEqual((self.children.last.signals, self.environments.removed), ([SIGTERM], [WEATHER]))

    def test_in_a_crash_loop(self) -> None:
        """A plugin that does not start any more can be retired, and is not started after that."""
        self.up()
        self.children.last.ends(KILLED)
        self.stage.turn()
        self.fails()
        self.supervisor.retire(WEATHER)
        self.clock.pump([60] * 10)
        self.assertEqual((len(self.children.made), self.environments.removed), (2, [WEATHER]))

    def test_reserved(self) -> None:
        """One that somebody installs just now stays."""
        self.up()
        self.supervisor.reserve(WEATHER)
        self.supervisor.retire(WEATHER)
        self.successResultOf(self.find())


class Stopping(SupervisorCase):
    def test_everything_ends(self) -> None:
        """Running, retiring and starting plugins end side by side; calls hear of it at once; nothing is started any more."""
        first = self.up(WEATHER)
        session = MemorySession()
        self.successResultOf(Deferred.fromCoroutine(first.open(session)))
        self.supervisor.retire(WEATHER)
        self.up(NEWS)
        self.packages.present = {NEWS}
        self.begin()
        launched = self.launch(WEATHER)
        for child in self.children.made:
            child.heeds = frozenset({SIGKILL})
        stopped = self.supervisor.stopService()
        self.assertEqual(session.heard, ["ConnectionClosed"])
        self.failureResultOf(self.find(WEATHER), ShuttingDown)
        self.failureResultOf(self.launch(NEWS), LaunchFailed)
        self.stage.turn(5)
        self.successResultOf(stopped)
        self.failureResultOf(launched, LaunchFailed)
        self.assertEqual([child.signals for child in self.children.made], [[SIGTERM, SIGKILL]] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_at_once(self) -> None:
        """A second signal kills whatever runs."""
        self.up()
        self.supervisor.kill_now()
        self.assertEqual(self.children.last.signals, [SIGKILL])

    def test_during_a_build(self) -> None:
        """A build that is under way is cancelled."""
        cancelled: list[object] = []
        canceller: Callable[[Deferred[None]], None] = cancelled.append
        self.environments.held = Deferred(canceller)
        launched = self.launch()
        self.successResultOf(self.supervisor.stopService())
        self.failureResultOf(launched, LaunchFailed)
        self.assertEqual(len(cancelled), 1)
