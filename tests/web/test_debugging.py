"""The route of the debugging key."""

import json
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.errors import InternalError
from difyd.runtime.debug.interfaces import IDebugKeys
from difyd.web.auth import Key
from difyd.web.debugging import DebuggingRoutes
from tests.web.cable import KEY, Cable, get, parts, post, site_of

PATH = "/plugin/t%201/debugging/key"


@implementer(IDebugKeys)
@define(eq=False)
class Keys:
    trouble: str = ""

    async def key_of(self, tenant: str) -> str:
        if self.trouble:
            raise InternalError(self.trouble)
        return f"key of {tenant}"

    async def tenant_of(self, key: str) -> str | None:
        return None


class DebuggingRoutesTests(SynchronousTestCase):
    def ask(self, request: bytes, trouble: str = "") -> tuple[int, Any]:
        cable = Cable(site_of(DebuggingRoutes(Keys(trouble)).group(Key("X-Api-Key", KEY))))
        code, _, body = parts(cable.send(request))
        return code, json.loads(body)

    def test_key(self) -> None:
        """The envelope holds nothing but the tenant's key; a body is not looked at, a tenant may be any text."""
        for body in (b"", b"not JSON"):
            self.assertEqual(self.ask(post(PATH, body)), (200, {"code": 0, "message": "success", "data": {"key": "key of t 1"}}))

    def test_trouble(self) -> None:
        """Keys that cannot be reached are an internal error with HTTP status 200."""
        status, answer = self.ask(post(PATH), "no route to host")
        self.assertEqual((status, answer["code"]), (200, -500))
        self.assertEqual(
            json.loads(answer["message"]),
            {"message": "no route to host", "error_type": "PluginDaemonInternalServerError", "args": None},
        )

    def test_guarded(self) -> None:
        """Only the API server asks, and only by POST."""
        self.assertEqual(self.ask(post(PATH, key=b"wrong"))[0], 401)
        self.assertEqual(self.ask(get(PATH))[0], 404)
