"""Administration of endpoints (http-api 12): every answer is an envelope with HTTP status 200, except for requests that do not bind."""

from io import BytesIO
from typing import Any, TypeVar

from attrs import define, frozen
from klein import Klein
from twisted.web.server import Request

from difyd.catalog.endpoints import Endpoints
from difyd.entities.identifier import PluginIdentifier
from difyd.web.auth import Key
from difyd.web.body import Bodies
from difyd.web.envelope import success
from difyd.web.params import bind, identifier, mapping, text, whole
from difyd.web.routes import BodyLimit, Group

T = TypeVar("T")


@frozen
class Setup:
    plugin_unique_identifier: PluginIdentifier = identifier()
    user_id: str = text(longest=64)
    name: str = text(longest=127)
    settings: dict[str, Any] = mapping()


@frozen
class Update:
    endpoint_id: str = text()
    user_id: str = text(longest=64)
    name: str = text(longest=127)
    settings: dict[str, Any] = mapping()


@frozen
class One:
    endpoint_id: str = text()


@frozen
class Listing:
    page: int = whole(1)
    page_size: int = whole(1, 100)


@frozen
class ListingOfPlugin:
    plugin_id: str = text()
    page: int = whole(1)
    page_size: int = whole(1, 100)


@define(eq=False)
class EndpointRoutes:
    _endpoints: Endpoints
    _bodies: Bodies

    app = Klein()

    def group(self, key: Key, size: int) -> Group:
        """`size`: bytes of a body with settings, into which people paste whole files."""
        large = BodyLimit(size)
        return Group(self, key, limits={"set_up": large, "update": large}, always_ok=True)

    async def _with_settings(self, kind: type[T], request: Request) -> T:
        request.content = BytesIO(await self._bodies.read(request))  # a large one was in a file
        return bind(kind, request)

    @app.route("/plugin/<tenant>/endpoint/setup", methods=["POST"])
    async def set_up(self, request: Request, tenant: str) -> bytes:
        wanted = await self._with_settings(Setup, request)
        await self._endpoints.set_up(tenant, wanted.user_id, wanted.plugin_unique_identifier, wanted.name, wanted.settings)
        return success()

    @app.route("/plugin/<tenant>/endpoint/update", methods=["POST"])
    async def update(self, request: Request, tenant: str) -> bytes:
        wanted = await self._with_settings(Update, request)
        await self._endpoints.update(tenant, wanted.user_id, wanted.endpoint_id, wanted.name, wanted.settings)
        return success()

    @app.route("/plugin/<tenant>/endpoint/remove", methods=["POST"])
    async def remove(self, request: Request, tenant: str) -> bytes:
        await self._endpoints.remove(tenant, bind(One, request).endpoint_id)
        return success()

    @app.route("/plugin/<tenant>/endpoint/enable", methods=["POST"])
    async def enable(self, request: Request, tenant: str) -> bytes:
        await self._endpoints.enable(tenant, bind(One, request).endpoint_id, True)
        return success()

    @app.route("/plugin/<tenant>/endpoint/disable", methods=["POST"])
    async def disable(self, request: Request, tenant: str) -> bytes:
        await self._endpoints.enable(tenant, bind(One, request).endpoint_id, False)
        return success()

    @app.route("/plugin/<tenant>/endpoint/list", methods=["GET"])
    async def list(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Listing, request)
        return success(await self._endpoints.list(tenant, wanted.page, wanted.page_size))

    @app.route("/plugin/<tenant>/endpoint/list/plugin", methods=["GET"])
    async def list_of_plugin(self, request: Request, tenant: str) -> bytes:
        wanted = bind(ListingOfPlugin, request)
        return success(await self._endpoints.list(tenant, wanted.page, wanted.page_size, wanted.plugin_id))
