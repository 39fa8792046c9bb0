"""Uploads, installs, tasks, upgrades and uninstalls over HTTP (http-api 13)."""

from typing import Any

import msgspec

from tests.catalog.house import NEWER, TENANT, WEATHER, named
from tests.catalog.packages import bundle, local, package
from tests.web.management.site import ManagedHouse

UPLOAD, BUNDLE = "/management/install/upload/package", "/management/install/upload/bundle"
INSTALL, UPGRADE, TASKS = "/management/install/identifiers", "/management/install/upgrade", "/management/install/tasks"


def form(name: str, data: bytes, **fields: str) -> dict[str, Any]:
    """A multipart request with one file, as a browser or httpx writes it."""
    parts = [b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (key.encode(), value.encode()) for key, value in fields.items()]
    parts.append(b'Content-Disposition: form-data; name="%b"; filename="a.difypkg"\r\n\r\n%b' % (name.encode(), data))
    body = b"".join(b"--frontier\r\n%b\r\n" % part for part in parts) + b"--frontier--\r\n"
    return {"data": body, "headers": {"Content-Type": "multipart/form-data; boundary=frontier"}}


class Uploading(ManagedHouse):
    def test_package(self) -> None:
        """The answer has identifier, declaration and verification; nothing of the upload stays in the intake."""
        answer = self.data("POST", UPLOAD.removeprefix("/management"), **form("dify_pkg", package(), verify_signature="false"))
        self.assertEqual(answer.keys(), {"unique_identifier", "manifest", "verification"})
        self.assertEqual(list((self.directory / "intake").iterdir()), [])

    def test_signature_demanded(self) -> None:
        """Only exactly `true` demands a signature."""
        status, code, kind, message = self.error("POST", UPLOAD, **form("dify_pkg", package(), verify_signature="true"))
        self.assertEqual((status, code, kind), (200, -400, "PluginDaemonBadRequestError"))
        self.assertIn("bad signature", message)
        self.data("POST", UPLOAD.removeprefix("/management"), **form("dify_pkg", package(), verify_signature="True"))

    def test_too_large(self) -> None:
        """A file over the limit is refused in an answer that clients read."""
        refused = self.error("POST", UPLOAD, **form("dify_pkg", b"x" * 100_001))
        self.assertEqual(refused, (200, -400, "PluginDaemonBadRequestError", "file size exceeds the maximum limit"))

    def test_no_form(self) -> None:
        """What is no form with the file is a bad request inside a 200 answer."""
        for more in ({"json": {}}, form("other", package()), {"data": {"dify_pkg": "text"}}):
            self.assertEqual(self.error("POST", UPLOAD, **more)[:2], (200, -400))

    def test_bundle(self) -> None:
        """A bundle under its own field, with its own limit."""
        items = self.data("POST", BUNDLE.removeprefix("/management"), **form("dify_bundle", bundle(local("a"), packages={"a": package()})))
        self.assertEqual([item["type"] for item in items], ["package"])
        self.assertEqual(self.error("POST", BUNDLE, **form("dify_bundle", b"x" * 200_001))[3], "file size exceeds the maximum limit")

    def test_limits_of_bodies(self) -> None:
        """The body is refused by its head when it cannot hold an acceptable file."""
        group = self.changes.group(None)  # type: ignore[arg-type]
        self.assertLess(100_000, group.limits["upload_package"].size)
        self.assertEqual({limit.status for limit in group.limits.values()}, {200})


class Installing(ManagedHouse):
    def test_install(self) -> None:
        """A task that can be polled until it ends."""
        self.upload(WEATHER)
        started = self.data(
            "POST", "/install/identifiers", json={"plugin_unique_identifiers": [str(WEATHER)], "source": "package", "metas": [None]}
        )
        self.assertEqual((started.keys(), started["all_installed"]), ({"all_installed", "task_id"}, False))
        self.assertEqual(self.data("GET", f"/install/tasks/{started['task_id']}")["status"], "running")
        self.launcher.ready(WEATHER)
        (task,) = self.data("GET", "/install/tasks", params={"page": 1, "page_size": 10})
        self.assertEqual((task["id"], task["status"]), (started["task_id"], "success"))

    def test_does_not_bind(self) -> None:
        """What does not bind is a 400, whatever the rest of management does."""
        good = {"plugin_unique_identifiers": [str(WEATHER)], "source": "package", "metas": [{}]}
        for change in (
            {"plugin_unique_identifiers": None},
            {"plugin_unique_identifiers": ["acme/weather:1.0.0"]},
            {"plugin_unique_identifiers": [str(WEATHER)] * 65, "metas": [{}] * 65},
            {"source": ""},
        ):
            self.assertEqual(self.error("POST", INSTALL, json={**good, **change})[:2], (400, -400), change)

    def test_business_errors(self) -> None:
        """What binds and cannot be done is a negative code inside a 200 answer."""
        body = {"plugin_unique_identifiers": [str(WEATHER)], "source": "package"}
        self.assertEqual(self.error("POST", INSTALL, json=body)[:2], (200, -400))
        refused = self.error("POST", INSTALL, json={**body, "metas": [{}]})
        self.assertEqual(refused, (200, -500, "PluginDaemonInternalServerError", "plugin not found\nfailed to get plugin declaration"))

    def test_upgrade(self) -> None:
        """Another version by a task; without a meta the stored one is empty."""
        self.have(WEATHER)
        self.upload(NEWER)
        body = {"original_plugin_unique_identifier": str(WEATHER), "new_plugin_unique_identifier": str(NEWER), "source": "github"}
        started = self.data("POST", "/install/upgrade", json=body)
        self.launcher.ready(NEWER)
        self.assertEqual(self.entries(started["task_id"]), [("success", "upgraded")])
        (row,) = self.data("GET", "/list", params={"page": 1, "page_size": 10})["list"]
        self.assertEqual((row["plugin_unique_identifier"], row["source"], row["meta"]), (str(NEWER), "github", {}))
        self.assertEqual(self.error("POST", UPGRADE, json=body)[:3], (200, -404, "PluginDaemonNotFoundError"))

    def test_uninstall(self) -> None:
        """True, also for what is not there."""
        mine = self.have(WEATHER)
        for installation in (mine, mine, "nothing"):
            self.assertIs(self.data("POST", "/uninstall", json={"plugin_installation_id": installation}), True)
        self.assertEqual(self.error("POST", "/management/uninstall", json={})[:2], (400, -400))


class Deleting(ManagedHouse):
    def setUp(self) -> None:
        super().setUp()
        self.good, self.bad = named("good"), named("bad")
        self.upload(self.good, self.bad)
        self.id = self.install(self.good, self.bad)
        self.launcher.ready(self.good)
        self.launcher.fail(self.bad, "no")

    def listed(self) -> list[str]:
        return [task["id"] for task in msgspec.json.decode(self.got(self.tasks.list(TENANT, 1, 10)))]

    def test_unknown(self) -> None:
        """A task that is not there is an error in a 200 answer; deleting it is fine."""
        self.assertEqual(self.error("GET", f"{TASKS}/nothing")[:2], (200, -404))
        self.assertIs(self.data("POST", "/install/tasks/nothing/delete"), True)
        self.assertEqual(self.listed(), [self.id])

    def test_one(self) -> None:
        """One task goes."""
        self.assertIs(self.data("POST", f"/install/tasks/{self.id}/delete"), True)
        self.assertEqual(self.listed(), [])

    def test_all(self) -> None:
        """All of a tenant go; `delete_all` is no task."""
        self.assertIs(self.data("POST", "/install/tasks/delete_all"), True)
        self.assertEqual(self.listed(), [])

    def test_entry(self) -> None:
        """An entry goes by its raw identifier; with the last that has not succeeded the task goes."""
        self.assertIs(self.data("POST", f"/install/tasks/{self.id}/delete/{self.bad}"), True)
        self.assertEqual(self.listed(), [])

    def test_bad_entry(self) -> None:
        """What is no identifier is refused."""
        self.assertEqual(self.error("POST", f"{TASKS}/{self.id}/delete/acme/bad")[:3], (200, -400, "PluginUniqueIdentifierError"))
        self.assertEqual(self.listed(), [self.id])
