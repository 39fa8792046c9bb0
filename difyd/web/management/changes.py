"""Uploads, installs, their tasks, upgrades, uninstalls (http-api 13)."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, frozen
from klein import Klein
from twisted.web.server import Request

from difyd.catalog.installs import MOST, Installs
from difyd.catalog.tasks import Tasks
from difyd.catalog.uninstalls import Uninstalls
from difyd.catalog.uploads import Uploads
from difyd.entities.identifier import PluginIdentifier
from difyd.web.auth import Key
from difyd.web.envelope import success
from difyd.web.management.pages import Paged
from difyd.web.params import bind, identifier, identifiers, mapping, objects, text
from difyd.web.routes import SMALL, BodyLimit, Group
from difyd.web.uploads import FRAME, TOO_LARGE
from difyd.web.uploads import Uploads as Intake

FORCED: Final = "true"
"""Exactly this in the form field `verify_signature` demands a signature."""


@frozen
class Install:
    plugin_unique_identifiers: list[PluginIdentifier] = identifiers(MOST)
    source: str = text(longest=63)
    metas: list[dict[str, Any]] = objects()


@frozen
class Upgrade:
    original_plugin_unique_identifier: PluginIdentifier = identifier()
    new_plugin_unique_identifier: PluginIdentifier = identifier()
    source: str = text(longest=63)
    meta: dict[str, Any] = mapping()


@frozen
class Uninstall:
    plugin_installation_id: str = text()


@define(eq=False)
class ChangeRoutes:
    """`_largest_package` and `_largest_bundle` are bytes of the uploaded file."""

    _intake: Intake
    _uploads: Uploads
    _installs: Installs
    _uninstalls: Uninstalls
    _tasks: Tasks
    _largest_package: int
    _largest_bundle: int

    app = Klein()

    def group(self, key: Key) -> Group:
        """The uploads take bodies as large as their files may be, and refuse more in an answer that clients read."""
        return Group(self, key, limit=SMALL, limits=self._limits(), always_ok=True)

    def _limits(self) -> Mapping[str, BodyLimit]:
        sizes = {"upload_package": self._largest_package, "upload_bundle": self._largest_bundle}
        return {route: BodyLimit(size + FRAME, status=200, text=TOO_LARGE) for route, size in sizes.items()}

    @app.route("/plugin/<tenant>/management/install/upload/package", methods=["POST"])
    async def upload_package(self, request: Request, tenant: str) -> bytes:
        async with await self._intake.receive(request, "dify_pkg", self._largest_package) as upload:
            return success(await self._uploads.package(upload.path, upload.fields.get("verify_signature") == FORCED))

    @app.route("/plugin/<tenant>/management/install/upload/bundle", methods=["POST"])
    async def upload_bundle(self, request: Request, tenant: str) -> bytes:
        async with await self._intake.receive(request, "dify_bundle", self._largest_bundle) as upload:
            return success(await self._uploads.bundle(upload.path, upload.fields.get("verify_signature") == FORCED))

    @app.route("/plugin/<tenant>/management/install/identifiers", methods=["POST"])
    async def install(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Install, request)
        started = await self._installs.install(tenant, wanted.plugin_unique_identifiers, wanted.source, wanted.metas)
        return success(started.to_json())

    @app.route("/plugin/<tenant>/management/install/upgrade", methods=["POST"])
    async def upgrade(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Upgrade, request)
        started = await self._installs.upgrade(
            tenant, wanted.original_plugin_unique_identifier, wanted.new_plugin_unique_identifier, wanted.source, wanted.meta
        )
        return success(started.to_json())

    @app.route("/plugin/<tenant>/management/uninstall", methods=["POST"])
    async def uninstall(self, request: Request, tenant: str) -> bytes:
        await self._uninstalls.uninstall(tenant, bind(Uninstall, request).plugin_installation_id)
        return success()

    @app.route("/plugin/<tenant>/management/install/tasks", methods=["GET"])
    async def tasks(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Paged, request)
        return success(await self._tasks.list(tenant, wanted.page, wanted.page_size))

    @app.route("/plugin/<tenant>/management/install/tasks/<task>", methods=["GET"])
    async def task(self, request: Request, tenant: str, task: str) -> bytes:
        return success(await self._tasks.get(tenant, task))

    @app.route("/plugin/<tenant>/management/install/tasks/delete_all", methods=["POST"])
    async def delete_tasks(self, request: Request, tenant: str) -> bytes:
        await self._tasks.delete_all(tenant)
        return success()

    @app.route("/plugin/<tenant>/management/install/tasks/<task>/delete", methods=["POST"])
    async def delete_task(self, request: Request, tenant: str, task: str) -> bytes:
        await self._tasks.delete(tenant, task)
        return success()

    @app.route("/plugin/<tenant>/management/install/tasks/<task>/delete/<path:plugin>", methods=["POST"])
    async def delete_entry(self, request: Request, tenant: str, task: str, plugin: str) -> bytes:
        """The identifier takes the rest of the path, its slash included."""
        await self._tasks.delete_entry(tenant, task, PluginIdentifier.parse(plugin))
        return success()
