"""Plugins under development in the database."""

import msgspec
from zope.interface.verify import verifyObject

from difyd.catalog.debugging import PATIENCE, ROUND, DebugInstallations
from difyd.catalog.listings import Listings
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import PluginNotFound
from difyd.package.assets import Asset
from difyd.runtime.debug.interfaces import IDebugHost
from difyd.runtime.debug.plugins import Alone
from tests.catalog.house import NEWER, OTHER, TENANT, WEATHER, House, declared, named


class Elsewhere(Alone):
    """Another node has announced some."""

    there: tuple[PluginIdentifier, ...] = ()

    async def elsewhere(self, identifiers):  # type: ignore[no-untyped-def]
        return [identifier for identifier in identifiers if identifier in self.there]


class DebugHouse(House):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = Elsewhere()
        self.host = self.run_of_a_daemon()
        self.listings = Listings(self.database, self.known)

    def run_of_a_daemon(self) -> DebugInstallations:
        host = DebugInstallations(self.clock, self.database, self.blobs, self.areas, self.installations, self.cluster)
        self.start(host)
        return host

    def connect(self, identifier: PluginIdentifier = WEATHER, tenant: str = TENANT, kind: str = "tool") -> str | None:
        return self.got(self.host.install(tenant, identifier, Declaration.decode(declared(identifier, kind))))

    def leave(self, installation: str | None, identifier: PluginIdentifier = WEATHER, tenant: str = TENANT) -> None:
        assert installation is not None
        self.got(self.host.uninstall(tenant, identifier, installation))

    def rows(self, tenant: str = TENANT) -> list[tuple[str, str, str]]:
        """(identifier, source, runtime type) of what a console lists."""
        listed = msgspec.json.decode(b"".join(self.got(self.listings.installed(tenant, 1, 100))))["list"]
        return [(row["plugin_unique_identifier"], row["source"], row["runtime_type"]) for row in listed]


class InstallTests(DebugHouse):
    def test_role(self) -> None:
        """It plays the role."""
        self.assertTrue(verifyObject(IDebugHost, self.host))

    def test_connect_and_leave(self) -> None:
        """Listed, found by calls and with its declaration while it is connected; gone afterwards, at once."""
        installation = self.connect()
        self.assertEqual(self.rows(), [(str(WEATHER), "remote", "remote")])
        self.assertEqual(self.rows(OTHER), [])
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).runtime, "remote")
        self.assertEqual(self.got(self.installations.declaration(WEATHER)).view.name, "weather")
        self.leave(installation)
        self.assertEqual(self.rows(), [])
        self.refused(self.installations.find(TENANT, "acme/weather"), PluginNotFound)
        self.refused(self.installations.declaration(WEATHER), PluginNotFound)

    def test_again(self) -> None:
        """The same build that connects again before its rows are gone keeps them."""
        self.assertEqual(self.connect(), self.connect())

    def test_another_build(self) -> None:
        """Another build takes the rows over; the end of the first one does not touch them."""
        first = self.connect(kind="model")
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, WEATHER)
        second = self.connect(NEWER)
        self.assertEqual(self.got(self.installations.find(TENANT, "acme/weather")).identifier, NEWER)
        self.refused(self.installations.declaration(WEATHER), PluginNotFound)
        self.assertEqual(msgspec.json.decode(b"".join(self.got(self.listings.providers(TENANT, "model", 1, 10)))), [])
        self.leave(first)
        self.leave(second, WEATHER)  # the row of this id is not that build's
        self.assertEqual(self.rows(), [(str(NEWER), "remote", "remote")])

    def test_beside_an_installation(self) -> None:
        """A plugin that is properly installed stays as it is, in whatever version; nobody is told of a change."""
        self.have()
        before = self.rows()
        told: list[tuple[str, str]] = []
        self.host.watch(lambda *what: told.append(what))
        self.assertIsNone(self.connect())
        self.assertIsNone(self.connect(NEWER))
        self.assertEqual((self.rows(), told), (before, []))

    def test_watch(self) -> None:
        """Changes of what a tenant has are told, and whose they are."""
        told: list[tuple[str, str]] = []
        self.host.watch(lambda *what: told.append(what))
        self.connect()
        self.assertEqual(set(told), {(TENANT, "acme/weather")})

    def test_installed_by_its_id(self) -> None:
        """Nobody can take a proper installation for the row of a debug build."""
        self.leave(self.have())
        self.assertEqual(self.installed(), WEATHER)

    def test_icons(self) -> None:
        """Icons are stored under their ids, and stay."""
        asset = Asset("ab" * 32 + ".svg", b"<svg/>")
        for _ in range(2):
            self.got(self.host.keep([asset]))
        self.leave(self.connect())
        self.assertEqual(self.got(self.blobs.read(self.areas.asset(asset.id))), b"<svg/>")


class StaleTests(DebugHouse):
    def test_start(self) -> None:
        """What was connected when a daemon was killed may come back for two minutes; what is installed stays, and what others have."""
        for name in ("killed", "elsewhere"):
            self.connect(named(name))
        self.have()
        self.cluster.there = (named("elsewhere"),)
        self.successResultOf(self.host.stopService())
        self.run_of_a_daemon()
        self.clock.pump([ROUND] * int(PATIENCE / ROUND - 1))
        self.assertEqual(len(self.rows()), 3)
        self.clock.advance(ROUND)
        self.assertEqual({row[0] for row in self.rows()}, {str(WEATHER), str(named("elsewhere"))})

    def test_came_back(self) -> None:
        """A plugin that connects again in time keeps its row."""
        before = self.connect()
        self.successResultOf(self.host.stopService())
        self.host = self.run_of_a_daemon()
        self.clock.advance(PATIENCE - 1)
        self.assertEqual(self.connect(), before)
        self.clock.pump([ROUND] * 9)
        self.assertEqual(len(self.rows()), 1)

    def test_connected_ones_stay(self) -> None:
        """Rows that a connection stands behind are nobody's leftovers."""
        self.connect()
        self.clock.pump([ROUND] * 9)
        self.assertEqual(len(self.rows()), 1)

    def test_removed_later(self) -> None:
        """What the database did not remove at the disconnect goes when nobody has come back to it."""
        self.connect()
        self.host._mine.clear()
        self.clock.pump([ROUND] * int(PATIENCE / ROUND))
        self.assertEqual(len(self.rows()), 1)
        self.clock.advance(ROUND)
        self.assertEqual(self.rows(), [])

    def test_database_gone(self) -> None:
        """A database that does not answer hinders neither a disconnect nor the start of a daemon."""
        installation = self.connect()
        self.successResultOf(self.database.stopService())
        self.leave(installation)
        self.run_of_a_daemon()
