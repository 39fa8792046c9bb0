"""Administration of endpoints over HTTP (http-api 12)."""

import json
from datetime import UTC
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import execute

from difyd.catalog.endpoints import Endpoints
from difyd.entities.declaration import Declaration
from difyd.entities.installation import RuntimeType
from difyd.store.database import declarations, installations
from difyd.telemetry.metrics import NoMetrics
from difyd.web.auth import Key
from difyd.web.body import Bodies
from difyd.web.endpoints import EndpointRoutes
from difyd.web.front import Front
from difyd.web.routes import Routes
from difyd.web.traffic import Traffic
from tests.catalog.house import NEWER, TENANT, WEATHER, declared
from tests.catalog.test_endpoints import ALLOWED, GROUP, Vault
from tests.web.management.site import SECRET, ManagedHouse

LIMIT = 30_000_000
PAGE = {"page": 1, "page_size": 100}
HOOK = {"plugin_unique_identifier": str(WEATHER), "user_id": "ann", "name": "hook", "settings": {"token": "abcdefgh"}}


class EndpointRoutesTests(ManagedHouse):
    def setUp(self) -> None:
        super().setUp()
        endpoints = Endpoints(self.clock, self.database, self.installations, Vault(), UTC)
        self.group = EndpointRoutes(endpoints, Bodies(execute)).group(Key("X-Api-Key", SECRET.encode()), LIMIT)
        self.http = StubTreq(Front(Routes.of([self.group]), Traffic(NoMetrics())))
        text = declared(WEATHER, **ALLOWED, **GROUP)
        self.got(self.database.run(declarations.add_blocking, WEATHER, text))
        work = installations.install_blocking, TENANT, WEATHER, Declaration.decode(text)
        self.got(self.database.run(*work, runtime=RuntimeType.LOCAL, source="package"))

    def change(self, what: str, **members: Any) -> None:
        status, body = self.ask("POST", f"/endpoint/{what}", json=members)
        self.assertEqual((status, json.loads(body)), (200, {"code": 0, "message": "success", "data": True}))

    def refused(self, what: str, members: dict[str, Any]) -> tuple[int, int, str, str]:
        return self.error("POST", f"/endpoint/{what}", json=members)

    def listed(self, path: str = "", **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask("GET", f"/endpoint/list{path}", params={**PAGE, **params})[1])["data"]
        return found

    def test_life(self) -> None:
        """Set up, shown with its secret masked, changed, switched, removed."""
        self.change("setup", **HOOK)
        (record,) = self.listed()
        self.assertEqual((record["name"], record["enabled"], record["settings"]), ("hook", True, {"token": "ab****gh"}))
        self.assertEqual(self.listed("/plugin", plugin_id="acme/weather"), [record])
        one = {"endpoint_id": record["id"]}
        self.change("update", **one, user_id="ann", name="other", settings={"token": "ab****gh", "plain": "x"})
        self.change("disable", **one)
        (record,) = self.listed()
        self.assertEqual((record["name"], record["enabled"]), ("other", False))
        self.change("enable", **one)
        self.change("remove", **one)
        self.assertEqual(self.listed(), [])

    def test_does_not_bind(self) -> None:
        """Members that are missing, empty, of another type or too long for their column are 400."""
        for what, members in (
            ("setup", {}),
            ("setup", {**HOOK, "plugin_unique_identifier": "acme/weather"}),
            ("setup", {**HOOK, "name": ""}),
            ("setup", {**HOOK, "name": "x" * 128}),
            ("setup", {**HOOK, "user_id": "x" * 65}),
            ("setup", {**HOOK, "settings": []}),
            ("update", {"endpoint_id": "x", "name": "n"}),
            ("remove", {}),
            ("enable", {"endpoint_id": 7}),
        ):
            self.assertEqual(self.refused(what, members)[:3], (400, -400, "PluginDaemonBadRequestError"), (what, members))
        for path, params in (("", {"page": 0}), ("", {"page_size": 101}), ("/plugin", {})):
            self.assertEqual(self.error("GET", f"/endpoint/list{path}", params={**PAGE, **params})[:2], (400, -400))
        self.assertEqual({name: limit.size for name, limit in self.group.limits.items()}, {"set_up": LIMIT, "update": LIMIT})

    def test_large_settings(self) -> None:
        """People paste whole files; such a body comes in a file, which is read on a thread."""
        self.change("setup", **{**HOOK, "settings": {"token": "abcdefgh", "plain": "x" * 2_000_000}})
        (record,) = self.listed()
        self.assertEqual(len(record["settings"]["plain"]), 2_000_000)

    def test_refused(self) -> None:
        """What cannot be done is an error inside a 200 answer."""
        for what, members, code in (
            ("setup", {**HOOK, "plugin_unique_identifier": str(NEWER)}, -404),
            ("setup", {**HOOK, "settings": {}}, -400),
            ("update", {"endpoint_id": "x", "user_id": "ann", "name": "n"}, -404),
            ("disable", {"endpoint_id": "x"}, -404),
            ("remove", {"endpoint_id": "x"}, -500),
        ):
            self.assertEqual(self.refused(what, members)[:2], (200, code), (what, members))
