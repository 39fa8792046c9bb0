"""Endpoints of tenants: set up, changed, looked up."""

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from attrs import define, field
from sqlalchemy import update
from twisted.logger import capturedLogs
from zope.interface import implementer

from difyd.callback.interfaces import ISecrets
from difyd.catalog.endpoints import LIFE, Endpoints
from difyd.entities.declaration import Declaration
from difyd.entities.installation import RuntimeType
from difyd.entities.settings_schema import Schema
from difyd.errors import BadRequest, InternalError, NotFound, PermissionDenied, PluginNotFound
from difyd.store.database import declarations, installations
from difyd.store.database.endpoints import Endpoint
from difyd.store.database.tables import endpoints as table
from tests.catalog.house import NEWER, OTHER, TENANT, WEATHER, House, declared

SETTINGS = [{"name": "token", "type": "secret-input", "required": True}, {"name": "plain", "type": "text-input"}]
ALLOWED = {"resource": {"memory": 1, "permission": {"endpoint": {"enabled": True}}}}
GROUP = {"endpoint": {"settings": SETTINGS, "endpoints": [{"path": "/a", "method": "GET", "hidden": False}]}}


@implementer(ISecrets)
@define
class Vault:
    """Marks secrets when it encrypts, refuses while it is `closed`."""

    asked: list[tuple[str, str, str]] = field(factory=list)
    """What, for whom, of which endpoint."""
    closed: bool = False

    async def encrypt(self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
        return self._turned("encrypt", user, endpoint_id, settings, lambda value: f"enc:{value}")

    async def decrypt(self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
        return self._turned("decrypt", user, endpoint_id, settings, lambda value: value.removeprefix("enc:"))

    async def clear(self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Schema) -> None:
        self._turned("clear", user, endpoint_id, settings, str)

    def _turned(self, what: str, user: str, endpoint_id: str, settings: Mapping[str, Any], turn: Any) -> dict[str, Any]:
        if self.closed:
            raise InternalError("the key is lost")
        self.asked.append((what, user, endpoint_id))
        return {name: turn(value) if name == "token" else value for name, value in settings.items()}


class EndpointsTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.vault = Vault()
        self.endpoints = Endpoints(self.clock, self.database, self.installations, self.vault, UTC)

    def have_hooks(self, *parts: dict[str, Any], tenant: str = TENANT) -> str:
        """The weather plugin with endpoints, installed."""
        text = declared(WEATHER, **{name: value for part in parts or (ALLOWED, GROUP) for name, value in part.items()})
        self.got(self.database.run(declarations.add_blocking, WEATHER, text))
        declaration, local = Declaration.decode(text), RuntimeType.LOCAL
        return self.got(self.database.run(installations.install_blocking, tenant, WEATHER, declaration, runtime=local, source="package")).id

    def set_up(self, name: str = "hook", **settings: Any) -> Endpoint:
        self.got(self.endpoints.set_up(TENANT, "ann", WEATHER, name, {"token": "abcdefgh", **settings}))
        return self.got(self.endpoints.by_hook(self.listed()[0]["hook_id"]))

    def listed(self, plugin_id: str | None = None, tenant: str = TENANT) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = json.loads(self.got(self.endpoints.list(tenant, 1, 10, plugin_id)))
        return records

    def counted(self) -> tuple[int, int]:
        (found,) = self.got(self.database.read(lambda transaction: installed(transaction.connection)))
        return found

    def test_set_up(self) -> None:
        """A new endpoint is stored encrypted, listed with its secrets masked, and found by its hook."""
        self.have_hooks()
        endpoint = self.set_up(plain="p")
        self.assertEqual(json.loads(endpoint.settings), {"token": "enc:abcdefgh", "plain": "p"})
        self.assertRegex(endpoint.hook_id, "^[a-z0-9]{16}$")
        (record,) = self.listed()
        self.assertEqual((record["settings"], record["enabled"], record["user_id"]), ({"token": "ab****gh", "plain": "p"}, True, "ann"))
        self.assertEqual(record["declaration"], GROUP["endpoint"])
        self.assertEqual(record["expired_at"], "2050-01-01T00:00:00Z")
        self.assertNotIn("url", record)
        self.assertEqual(self.counted(), (1, 1))

    def test_refused(self) -> None:
        """Not installed, another version, no permission, no endpoints, settings that do not fit: each with its own error, nothing is stored."""
        setting_up = lambda identifier=WEATHER, **more: self.endpoints.set_up(TENANT, "u", identifier, "n", more)  # noqa: E731
        self.refused(setting_up(), PluginNotFound)
        installation = self.have_hooks(GROUP)
        self.refused(setting_up(NEWER), PluginNotFound)
        self.assertIn("you need to enable endpoint access in plugin manifest", self.refused(setting_up(token="t"), PermissionDenied))
        self.got(self.uninstalls.uninstall(TENANT, installation))
        self.have_hooks(ALLOWED)
        self.assertEqual(self.refused(setting_up(token="t"), BadRequest), "plugin does not have an endpoint")
        self.assertEqual(self.listed(), [])

    def test_settings_that_do_not_fit(self) -> None:
        """The message names the setting."""
        self.have_hooks()
        told = self.refused(self.endpoints.set_up(TENANT, "u", WEATHER, "n", {}), BadRequest)
        self.assertEqual(told, "failed to validate settings: missing required setting: token")

    def test_encryption_fails(self) -> None:
        """An endpoint whose settings Dify does not encrypt is not made, and not counted."""
        self.have_hooks()
        self.vault.closed = True
        told = self.refused(self.endpoints.set_up(TENANT, "u", WEATHER, "n", {"token": "t"}), InternalError)
        self.assertEqual(told, "failed to encrypt settings: the key is lost")
        self.assertEqual((self.listed(), self.counted()), ([], (0, 0)))

    def test_update(self) -> None:
        """A secret that comes back as its mask is kept, others are new; the row in memory is dropped, and Dify forgets its copy."""
        self.have_hooks()
        endpoint = self.set_up()
        self.got(self.endpoints.update(TENANT, "bob", endpoint.id, "new", {"token": "ab****gh", "plain": "q"}))
        changed = self.got(self.endpoints.by_hook(endpoint.hook_id))
        self.assertEqual((changed.name, json.loads(changed.settings)), ("new", {"token": "enc:abcdefgh", "plain": "q"}))
        self.assertEqual(self.vault.asked[-1], ("clear", "", endpoint.id))
        self.assertIn(("encrypt", "bob", endpoint.id), self.vault.asked)

    def test_switch(self) -> None:
        """Enabling and disabling may be repeated; the installation counts what is active, also when a disabled one is removed."""
        self.have_hooks()
        endpoint = self.set_up()
        for enabled, counted in ((False, (1, 0)), (False, (1, 0)), (True, (1, 1)), (False, (1, 0))):
            self.got(self.endpoints.enable(TENANT, endpoint.id, enabled))
            self.assertEqual(self.got(self.endpoints.by_hook(endpoint.hook_id)).enabled, enabled)
            self.assertEqual(self.counted(), counted)
        self.got(self.endpoints.remove(TENANT, endpoint.id))
        self.assertEqual(self.counted(), (0, 0))

    def test_remove(self) -> None:
        """A removed endpoint is gone at once, Dify forgets it; removing it again is the error that Dify knows."""
        self.have_hooks()
        endpoint = self.set_up()
        self.got(self.endpoints.remove(TENANT, endpoint.id))
        self.assertEqual(self.vault.asked[-1], ("clear", "", endpoint.id))
        self.assertEqual(self.refused(self.endpoints.by_hook(endpoint.hook_id), BadRequest), "endpoint not found")
        self.assertEqual(self.refused(self.endpoints.remove(TENANT, endpoint.id), InternalError), "failed to remove endpoint: record not found")

    def test_other_tenant(self) -> None:
        """An endpoint of another tenant is not there."""
        self.have_hooks()
        endpoint = self.set_up()
        self.refused(self.endpoints.enable(OTHER, endpoint.id, False), NotFound)
        self.refused(self.endpoints.update(OTHER, "u", endpoint.id, "n", {}), NotFound)
        self.refused(self.endpoints.remove(OTHER, endpoint.id), InternalError)
        self.assertEqual(self.listed(tenant=OTHER), [])

    def test_uninstalled(self) -> None:
        """What is left of an uninstalled plugin is listed without settings; its own list is an error; it can be removed."""
        installation = self.have_hooks()
        endpoint = self.set_up()
        self.got(self.uninstalls.uninstall(TENANT, installation))
        (record,) = self.listed()
        self.assertEqual((record["settings"], record["declaration"]), ({}, {"settings": [], "endpoints": []}))
        self.refused(self.endpoints.list(TENANT, 1, 10, WEATHER.plugin_id), NotFound)
        self.refused(self.endpoints.update(TENANT, "u", endpoint.id, "n", {}), NotFound)
        self.got(self.endpoints.remove(TENANT, endpoint.id))
        self.assertEqual(self.listed(), [])

    def test_removed_unheard(self) -> None:
        """A Dify that cannot be told of it leaves no endpoint behind, and no error."""
        self.have_hooks()
        endpoint = self.set_up()
        self.vault.closed = True
        with capturedLogs() as events:
            self.got(self.endpoints.remove(TENANT, endpoint.id))
        self.assertEqual(events[0]["why"], "failed to clear credentials cache: the key is lost")
        self.vault.closed = False
        self.assertEqual(self.listed(), [])

    def test_unreadable(self) -> None:
        """Stored settings that cannot be read: listed as none, replaced by an update, refused to a call, which might take none for leave."""
        self.have_hooks()
        hook = self.set_up()
        for broken in ("{", "[1]", "7"):
            change = update(table).values(settings=broken)
            self.got(self.database.run(lambda transaction, change=change: transaction.connection.execute(change).close()))
            self.clock.advance(LIFE)
            with capturedLogs() as events:
                self.assertEqual(self.listed()[0]["settings"], {})
            self.assertIn(hook.id, events[0]["why"])
            found = self.got(self.endpoints.by_hook(hook.hook_id))
            self.assertIn(hook.id, self.refused(self.endpoints.settings(found, SETTINGS), InternalError))
        with capturedLogs():
            self.got(self.endpoints.update(TENANT, "ann", hook.id, "hook", {"token": "new"}))
        self.assertEqual(self.got(self.endpoints.settings(self.got(self.endpoints.by_hook(hook.hook_id)), SETTINGS)), {"token": "new"})

    def test_database_refuses(self) -> None:
        """What the database says of a change comes with the words that clients know."""
        self.have_hooks()
        hook = self.set_up()
        for event in ("INSERT", "UPDATE", "DELETE"):
            trigger = f"CREATE TRIGGER no_{event} BEFORE {event} ON endpoints BEGIN SELECT RAISE(ABORT, 'no more'); END"
            self.got(self.database.run(lambda transaction, trigger=trigger: transaction.connection.exec_driver_sql(trigger).close()))
        for what, work in (
            ("setup", self.endpoints.set_up(TENANT, "ann", WEATHER, "two", {"token": "x"})),
            ("update", self.endpoints.update(TENANT, "ann", hook.id, "hook", {"token": "x"})),
            ("remove", self.endpoints.remove(TENANT, hook.id)),
        ):
            self.assertEqual(self.refused(work, InternalError), f"failed to {what} endpoint: database: no more")

    def test_memory(self) -> None:
        """A hook is answered from memory for a while, then looked up again."""
        self.have_hooks()
        endpoint = self.set_up()
        self.assertIs(self.got(self.endpoints.by_hook(endpoint.hook_id)), endpoint)
        self.clock.advance(LIFE)
        self.assertIsNot(self.got(self.endpoints.by_hook(endpoint.hook_id)), endpoint)


def installed(connection: Any) -> list[tuple[int, int]]:
    return [tuple(row) for row in connection.exec_driver_sql("SELECT endpoints_setups, endpoints_active FROM plugin_installations")]
