"""The management and asset routes over a catalog on real stores, asked through treq."""

from typing import Any

import msgspec
from treq.testing import StubTreq

from difyd.catalog.assets import Assets
from difyd.catalog.listings import Listings
from difyd.telemetry.metrics import NoMetrics
from difyd.web.assets import AssetRoutes
from difyd.web.auth import Key
from difyd.web.front import Front
from difyd.web.management.changes import ChangeRoutes
from difyd.web.management.extract import ExtractRoute
from difyd.web.management.lists import ListRoutes
from difyd.web.routes import Routes
from difyd.web.traffic import Traffic
from difyd.web.uploads import Uploads as Intake
from tests.catalog.house import TENANT
from tests.catalog.test_uploads import UploadHouse

SECRET = "a key"


class ManagedHouse(UploadHouse):
    """`ask` sends what a Dify API server would send."""

    def setUp(self) -> None:
        super().setUp()
        key = Key("X-Api-Key", SECRET.encode())
        (self.directory / "intake").mkdir()
        intake = Intake(self.threads.run, self.directory / "intake")
        self.changes = ChangeRoutes(intake, self.uploads, self.installs, self.uninstalls, self.tasks, 100_000, 200_000)
        groups = [
            self.changes.group(key),
            ListRoutes(Listings(self.database, self.known), self.contents).group(key),
            ExtractRoute(self.contents).group(key),
            AssetRoutes(Assets(self.blobs, self.areas, 16), self.contents).group(key),
        ]
        self.http = StubTreq(Front(Routes.of(groups), Traffic(NoMetrics())))

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        """Status and body of `path` below the tenant."""
        return self.fetch(method, f"http://difyd/plugin/{TENANT}{path}", **more)

    def fetch(self, method: str, url: str, **more: Any) -> tuple[int, bytes]:
        headers = {"X-Api-Key": SECRET, **more.pop("headers", {})}
        asked = self.http.request(method, url, headers=headers, **more)
        self.http.flush()
        response = self.successResultOf(asked)
        body = response.content()
        self.http.flush()
        return response.code, self.successResultOf(body)

    def data(self, method: str, path: str, **more: Any) -> Any:
        """What a successful answer carries."""
        status, body = self.ask(method, f"/management{path}", **more)
        envelope = msgspec.json.decode(body)
        self.assertEqual((status, envelope["code"]), (200, 0), body)
        return envelope["data"]

    def error(self, method: str, path: str, **more: Any) -> tuple[int, int, str, str]:
        """HTTP status, code, error type and message of a refusal."""
        status, body = self.ask(method, path, **more)
        envelope = msgspec.json.decode(body)
        self.assertNotIn("data", envelope)
        inner = msgspec.json.decode(envelope["message"])
        return status, envelope["code"], inner["error_type"], inner["message"]
