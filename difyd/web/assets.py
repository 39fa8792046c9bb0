"""Icons, and files out of packages (http-api 15): raw bytes, no envelope; errors have their HTTP status."""

from attrs import define, frozen
from klein import Klein
from twisted.web.server import Request

from difyd.catalog.assets import Assets
from difyd.catalog.contents import Contents
from difyd.entities.identifier import PluginIdentifier
from difyd.web.auth import Key
from difyd.web.params import bind, identifier, text
from difyd.web.routes import Group


@frozen
class Extract:
    plugin_unique_identifier: PluginIdentifier = identifier()
    file_path: str = text()


@define(eq=False)
class AssetRoutes:
    _assets: Assets
    _contents: Contents

    app = Klein()

    def group(self, key: Key) -> Group:
        return Group(self, key)

    @app.route("/plugin/<tenant>/asset/<path:asset>", methods=["GET"])
    async def icon(self, request: Request, tenant: str, asset: str) -> bytes:
        return _raw(request, await self._assets.icon(asset))

    @app.route("/plugin/<tenant>/extract-asset/", methods=["GET"])
    async def extract(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Extract, request)
        return _raw(request, await self._contents.file(wanted.plugin_unique_identifier, wanted.file_path))


def _raw(request: Request, content: bytes) -> bytes:
    request.setHeader(b"Content-Type", b"application/octet-stream")
    return content
