"""Who may come in, and what others know of plugins that come and go."""

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from difyd.errors import StorageFailed
from difyd.runtime.debug.plugins import Limits
from difyd.runtime.interfaces import IPluginRuntime
from tests.runtime.debug.house import GRACE, OTHER, TENANT, DebugHouse

BUSY = "server is busy now, please try again later\n"


class LimitsTests(DebugHouse):
    limits = Limits(2, None)

    def test_node(self) -> None:
        """Over the limit a registration is refused; a place that gets free is taken."""
        developers = [self.connect().register(name=name) for name in ("a", "b")]
        self.assertEqual(self.connect().register(name="c").told, BUSY)
        developers.pop().leave()
        self.assertEqual(self.connect().register(name="c").told, "")
        self.assertEqual(self.connect().register(name="d").told, BUSY)

    def test_only_plugins_count(self) -> None:
        """Connections that fail, or have not registered, take no place."""
        for _ in range(10):
            self.connect().register(key="wrong")
            self.connect().register(author="Illegal")
        self.connect().say({"type": "handshake", "data": {"key": "key-1"}})
        self.assertEqual([self.connect().register(name=name).told for name in ("a", "b", "c")], ["", "", BUSY])

    def test_comes_back(self) -> None:
        """A plugin that connects again has the place that it had."""
        self.connect().register(name="a")
        self.connect().register(name="b")
        self.assertEqual(self.connect().register(name="a", version="0.0.2").told, "")

    def test_being_let_in(self) -> None:
        """A plugin that is being installed has its place already."""
        self.host.held = []
        developers = [self.connect().register(name=name) for name in ("a", "b", "c")]
        self.assertEqual([developer.told for developer in developers], ["", "", BUSY])


class TenantLimitTests(DebugHouse):
    limits = Limits(256, 1)

    def test_tenant(self) -> None:
        """A limit of a tenant is that tenant's alone."""
        self.assertEqual([self.connect().register(name=name).told for name in ("a", "b")], ["", BUSY])
        self.assertEqual(self.connect().register(name="b", key="key-2").told, "")


class ShownTests(DebugHouse):
    def test_runtime(self) -> None:
        """What calls find is a runtime with the identifier and the declaration of the newest connection."""
        self.connect().register()
        runtime = self.supervisor.runtimes[TENANT, "acme/weather"]
        self.assertTrue(verifyObject(IPluginRuntime, runtime))
        self.assertEqual((runtime.identifier.plugin_id, runtime.kind, runtime.declaration.view.version), ("acme/weather", "remote", "0.0.1"))
        self.connect().register(version="0.0.2")
        runtime = self.supervisor.runtimes[TENANT, "acme/weather"]
        self.assertEqual((runtime.identifier.version, runtime.declaration.view.version), ("0.0.2", "0.0.2"))

    def test_tenants(self) -> None:
        """Two tenants debug the same plugin without seeing each other."""
        one, _two = self.connect().register(), self.connect().register(key="key-2")
        identifiers = {runtime.identifier for runtime in self.supervisor.runtimes.values()}
        self.assertEqual(len(identifiers), 2)
        one.leave()
        self.clock.advance(1)
        self.assertEqual(list(self.host.rows), [(OTHER, "acme/weather")])

    def test_announced(self) -> None:
        """Other nodes hear where it is, and when it has gone; a newer build takes the place of the older."""
        developer = self.connect().register()
        newer = self.connect().register(version="0.0.2")
        developer.leave()
        self.assertEqual([identifier.version for _, identifier in self.announcements.there], ["0.0.2"])
        newer.leave()
        self.assertEqual(self.announcements.there, [])

    def test_older_goes_newer_stays(self) -> None:
        """The end of a connection takes nothing from the one that has taken its place."""
        older, _newer = self.connect().register(), self.connect().register()
        older.leave()
        self.clock.advance(10)
        self.assertEqual([event[0] for event in self.events], ["callable", "shown"])

    def test_gone_at_once(self) -> None:
        """A plugin that leaves as soon as it has come is not expected back."""
        self.connect().register().leave()
        self.turn()
        self.assertEqual(self.host.rows, {})

    def test_storm(self) -> None:
        """However fast they come and go, the last one is what is shown, and after it nothing."""
        self.host.held = []
        developers = []
        for version in ("0.0.1", "0.0.2", "0.0.1", "0.0.3"):
            developers.append(self.connect().register(version=version))
            developers[-1].leave()
        last = self.connect().register(version="0.0.4")
        for _ in range(20):
            self.host.go_on()
            self.clock.advance(0.1)
        self.assertEqual([identifier.version for _, identifier in self.host.rows.values()], ["0.0.4"])
        last.leave()
        for _ in range(20):
            self.host.go_on()
            self.clock.advance(0.1)
        self.assertEqual((self.host.rows, self.supervisor.runtimes, self.plugins._places, self.plugins._links), ({}, {}, {}, {}))

    def test_lost_while_installed(self) -> None:
        """A plugin that goes while its rows are written is taken back once they are."""
        self.host.held = []
        self.connect().register().leave()
        self.turn()
        self.assertEqual([event[0] for event in self.events], ["callable", "not callable"])
        for _ in range(4):
            self.host.go_on()
            self.turn()
        self.assertEqual([event[0] for event in self.events], ["callable", "not callable", "shown", "taken back"])

    def test_lost_before(self) -> None:
        """A plugin that goes before it is shown is never shown."""
        developer = self.connect()
        developer.connection.dataReceived(b"")
        self.keys.held = []
        developer.register()
        developer.leave()
        self.keys.held.pop().callback(None)
        self.turn()
        self.assertEqual(self.events, [])

    def test_console_removed_it(self) -> None:
        """Somebody else has removed the row: nothing else is, and the next connection is shown again."""
        developer = self.connect().register()
        self.clock.advance(1)
        self.host.rows.clear()
        developer.leave()
        self.clock.advance(0.1)
        self.connect().register()
        self.assertEqual([event[0] for event in self.events], ["callable", "shown", "shown"])


class ShadowTests(DebugHouse):
    def setUp(self) -> None:
        super().setUp()
        self.host.proper.add((TENANT, "acme/weather"))
        self.developer = self.connect().register()

    def test_shadow(self) -> None:
        """Beside an installed plugin nothing is written; the debug build has the calls."""
        self.assertEqual([event[0] for event in self.events], ["callable"])
        self.assertEqual((self.host.rows, self.developer.told), ({}, ""))

    def test_end(self) -> None:
        """The installed one answers again at once: there is no gap to wait out."""
        self.developer.leave()
        self.assertEqual([event[0] for event in self.events], ["callable", "not callable"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_uncovered(self) -> None:
        """When the installed one is uninstalled, the debug build is shown by itself, and goes with its connection."""
        self.host.uninstall_proper(TENANT, "acme/weather")
        self.assertEqual([event[0] for event in self.events], ["callable", "shown"])
        self.developer.leave()
        self.clock.advance(GRACE)
        self.assertEqual((self.host.rows, self.events[-1][0]), ({}, "taken back"))

    def test_uncovered_too_late(self) -> None:
        """Nothing is shown of a build whose connection has ended by then."""
        self.host.held = []
        other = self.connect().register(name="other")
        self.host.uninstall_proper(TENANT, "acme/weather")
        self.developer.leave()
        for _ in range(3):
            self.host.go_on()
        self.assertEqual(list(self.host.rows), [(TENANT, "acme/other")])
        self.assertFalse(other.closed)

    def test_uncovered_in_vain(self) -> None:
        """A build that cannot be shown stays connected; the log says why."""
        self.host.trouble = StorageFailed("the disk is full")
        self.host.uninstall_proper(TENANT, "acme/weather")
        self.assertEqual(([event[0] for event in self.events], self.developer.closed), (["callable"], False))


class StopTests(DebugHouse):
    def test_stop(self) -> None:
        """All connections close, everything is taken back, what waits fails; then it is over."""
        here, away = self.connect().register(name="here"), self.connect().register(name="away")
        self.clock.advance(1)
        away.leave()
        _, opening = self.call("away")
        self.host.held = []
        stopping = Deferred.fromCoroutine(self.plugins.stop())
        self.assertTrue(here.cable.disconnecting)
        self.failureResultOf(opening)
        self.assertNoResult(stopping)
        for _ in range(3):
            self.host.go_on()
        self.successResultOf(stopping)
        self.assertEqual(self.host.rows, {})
