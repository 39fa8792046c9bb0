"""The debugging key, for the console of a workspace (http-api 16.1; debug-runtime 2.1). The route is there while the debugging port is."""

import msgspec
from attrs import define
from klein import Klein
from twisted.web.server import Request

from difyd.runtime.debug.interfaces import IDebugKeys
from difyd.web.auth import Key
from difyd.web.envelope import success
from difyd.web.routes import Group


@define(eq=False)
class DebuggingRoutes:
    """Hands out keys. What is sent with the request is not looked at."""

    _keys: IDebugKeys

    app = Klein()

    def group(self, key: Key) -> Group:
        return Group(self, key, always_ok=True)

    @app.route("/plugin/<tenant>/debugging/key", methods=["POST"])
    async def key(self, request: Request, tenant: str) -> bytes:
        return success(msgspec.json.encode({"key": await self._keys.key_of(tenant)}))
