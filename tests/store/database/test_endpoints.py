"""Endpoints of tenants, and the counters of their installations."""

import re
from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import PluginNotFound
from difyd.store.database import endpoints, installations
from difyd.store.database.endpoints import Endpoint
from difyd.store.database.tables import plugin_installations
from tests.store.database.cases import NOBODY, OTHER, TENANT, WEATHER, DatabaseCase, SQLiteCase, plugin


class EndpointsContract(DatabaseCase):
    def creation(self, plugin_id: str = "acme/weather", tenant: str = TENANT, name: str = "hook", **more) -> dict:
        more = {"id": self.database.ids.new(), "hook_id": endpoints.new_hook_id(), "settings": b"{}", "user": "u", **more}
        return {"tenant": tenant, "plugin_id": plugin_id, "name": name, **more}

    def create(self, *args, **kwargs) -> Endpoint:
        return self.do(endpoints.create_blocking, **self.creation(*args, **kwargs))

    def counters(self) -> list[tuple[int, int]]:
        return self.rows(plugin_installations, "endpoints_setups", "endpoints_active")

    def listed(self, tenant: str = TENANT, page: int = 1, size: int = 100, **more) -> list:
        return self.read(endpoints.list_blocking, tenant, page, size, **more)

    def test_created(self) -> None:
        """A new endpoint is enabled, found by its hook and by its id, and counted."""
        self.install(WEATHER, "endpoint")
        made = self.create(settings='{"token":"天"}'.encode())
        moment = datetime.fromtimestamp(self.time, UTC)
        self.assertEqual((made.created_at, made.updated_at, made.enabled), (moment, moment, True))
        self.assertEqual(made.expired_at, datetime(2050, 1, 1, tzinfo=UTC))
        self.assertEqual(self.read(endpoints.by_hook_blocking, made.hook_id), made)
        self.assertEqual(self.read(endpoints.by_id_blocking, TENANT, made.id), made)
        self.assertEqual(self.counters(), [(1, 1)])

    def test_unnamed(self) -> None:
        """An endpoint without a name gets one."""
        self.install(WEATHER, "endpoint")
        self.assertEqual(self.read(endpoints.by_id_blocking, TENANT, self.create(name="").id).name, "default")

    def test_secrets(self) -> None:
        """Settings do not get into logs by way of a repr."""
        self.install(WEATHER, "endpoint")
        self.assertNotIn("secret", repr(self.create(settings=b'{"a":"secret"}')))

    def test_not_installed(self) -> None:
        """Nobody has an endpoint of a plugin that is not there."""
        self.install(WEATHER, "endpoint", tenant=OTHER)
        self.refused(PluginNotFound, endpoints.create_blocking, **self.creation())
        self.assertEqual(self.listed(), [])

    def test_not_there(self) -> None:
        """Unknown hooks and ids, and those of another tenant, are None."""
        self.install(WEATHER, "endpoint")
        made = self.create()
        self.assertIsNone(self.read(endpoints.by_hook_blocking, "nobody"))
        for tenant, id in ((OTHER, made.id), (TENANT, NOBODY)):
            self.assertIsNone(self.read(endpoints.by_id_blocking, tenant, id))
            self.assertFalse(self.do(endpoints.update_blocking, tenant, id, name="x", settings=b"{}"))
            self.assertIsNone(self.do(endpoints.enable_blocking, tenant, id, False))
            self.assertIsNone(self.do(endpoints.remove_blocking, tenant, id))
        self.assertEqual(self.read(endpoints.by_id_blocking, TENANT, made.id), made)

    def test_updated(self) -> None:
        """Name and settings change, nothing else."""
        self.install(WEATHER, "endpoint")
        made = self.create()
        self.assertTrue(self.do(endpoints.update_blocking, TENANT, made.id, name="new", settings=b'{"a":1}'))
        found = self.read(endpoints.by_id_blocking, TENANT, made.id)
        self.assertEqual((found.name, found.settings, found.hook_id, found.enabled), ("new", b'{"a":1}', made.hook_id, True))
        self.assertGreater(found.updated_at, made.updated_at)

    def test_enabled(self) -> None:
        """Only a real change counts."""
        self.install(WEATHER, "endpoint")
        made = self.create()
        self.create()
        self.assertEqual(self.do(endpoints.enable_blocking, TENANT, made.id, True), made)
        for _ in range(2):
            self.assertFalse(self.do(endpoints.enable_blocking, TENANT, made.id, False).enabled)
            self.assertEqual(self.counters(), [(2, 1)])
        self.assertTrue(self.do(endpoints.enable_blocking, TENANT, made.id, True).enabled)
        self.assertEqual(self.counters(), [(2, 2)])

    def test_removed(self) -> None:
        """A disabled endpoint was not active; removing it twice counts once."""
        self.install(WEATHER, "endpoint")
        made = self.create()
        self.create()
        disabled = self.do(endpoints.enable_blocking, TENANT, made.id, False)
        self.assertEqual(self.do(endpoints.remove_blocking, TENANT, made.id), disabled)
        self.assertIsNone(self.do(endpoints.remove_blocking, TENANT, made.id))
        self.assertEqual(self.counters(), [(1, 1)])

    def test_orphans(self) -> None:
        """The endpoints of an uninstalled plugin can still be changed and removed."""
        installed = self.install(WEATHER, "endpoint")
        first, second = self.create(), self.create()
        self.do(installations.uninstall_blocking, TENANT, installed.id)
        self.assertFalse(self.do(endpoints.enable_blocking, TENANT, first.id, False).enabled)
        self.assertIsNotNone(self.do(endpoints.remove_blocking, TENANT, second.id))
        (left,) = self.listed()
        self.assertEqual((left.endpoint.id, left.identifier, left.declaration), (first.id, None, None))

    def test_listed(self) -> None:
        """Newest first, in pages, of all plugins or of one, each with what is installed now."""
        declarations = {}
        for identifier in (WEATHER, plugin("maps")):
            declarations[identifier] = self.upload(identifier, "endpoint").text
            self.install(identifier, "endpoint")
        self.install(WEATHER, "endpoint", tenant=OTHER)
        made = [self.create("acme/weather"), self.create("acme/maps"), self.create("acme/weather")]
        self.create(tenant=OTHER)
        self.assertEqual([each.endpoint for each in self.listed()], made[::-1])
        self.assertEqual([each.endpoint for each in self.listed(page=2, size=2)], made[:1])
        self.assertEqual([each.endpoint for each in self.listed(plugin_id="acme/maps")], made[1:2])
        self.assertEqual([each.identifier for each in self.listed()], [WEATHER, plugin("maps"), WEATHER])
        self.assertEqual([each.declaration for each in self.listed()], [declarations[each.identifier] for each in self.listed()])

    def test_same_time(self) -> None:
        """Counters are right whatever happens at the same time."""
        self.install(WEATHER, "endpoint")
        made = [self.create() for _ in range(4)]
        self.at_once(
            *[self.transaction(endpoints.create_blocking, **self.creation()) for _ in range(4)],
            *[self.transaction(endpoints.enable_blocking, TENANT, endpoint.id, False) for endpoint in made[:2]],
            *[self.transaction(endpoints.remove_blocking, TENANT, endpoint.id) for endpoint in made[2:]],
        )
        self.assertEqual(self.counters(), [(6, 4)])


class SQLiteEndpointsTests(EndpointsContract, SQLiteCase):
    def test_long_plugin_id(self) -> None:
        """The embedded database has no limit where the reference's column has 64 characters."""
        identifier = plugin("w" * 100)
        self.install(identifier, "endpoint")
        self.assertEqual(self.create(identifier.plugin_id).plugin_id, identifier.plugin_id)


class HookTests(SynchronousTestCase):
    def test_form(self) -> None:
        """Sixteen characters of the alphabet of hooks, never the same."""
        made = {endpoints.new_hook_id() for _ in range(100)}
        self.assertEqual(len(made), 100)
        self.assertTrue(all(re.fullmatch("[a-z0-9]{16}", hook) for hook in made))
