"""Web hooks, through the real site on a memory transport, to a plugin in memory."""

import json
from typing import Any

import attrs
from attrs import define, field
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.declaration import Declaration
from difyd.entities.installation import Installation, RuntimeType
from difyd.entities.settings_schema import Schema
from difyd.errors import BadIdentifier, BadRequest, InternalError, PluginNotFound
from difyd.invoke.deadlines import Deadlines
from difyd.invoke.invoker import Invoker
from difyd.store.database.endpoints import Endpoint
from difyd.web.body import Bodies
from difyd.web.hooks import BODY, Hooks
from tests.invoke.fakes import IDENTIFIER, MemoryCallbacks, MemoryRuntime
from tests.web.cable import TENANT, Cable, site_of

HOOK = "q7w8e9r0t1y2u3i4"
ENDPOINT = Endpoint("e-1", None, None, "n", HOOK, TENANT, "u", IDENTIFIER.plugin_id, None, True, b"{}")
DECLARED = Declaration.decode(b'{"endpoint":{"settings":[],"endpoints":[]}}')


@define(eq=False)
class Everything:
    """One endpoint of one installed plugin: what the hooks ask of the catalog and of the supervisor."""

    endpoint: Endpoint = ENDPOINT
    installed: bool = True
    broken: bool = False
    """The row of the installation cannot be read."""
    locked: bool = False
    """Dify does not decrypt."""
    decrypted: Deferred[None] | None = None
    """When it does, if that takes a while."""
    runtime: MemoryRuntime = field(factory=lambda: MemoryRuntime(declaration=DECLARED))

    async def by_hook(self, hook: str) -> Endpoint:
        if hook != self.endpoint.hook_id:
            raise BadRequest("endpoint not found")
        return self.endpoint

    async def settings(self, endpoint: Endpoint, schema: Schema) -> dict[str, Any]:
        if self.locked:
            raise InternalError("failed to decrypt settings: the key is lost")
        if self.decrypted is not None:
            await self.decrypted
        return {"colour": "red"}

    async def find(self, tenant: str, plugin: Any, kind: RuntimeType | None = None) -> Any:
        if kind is not None:
            return self.runtime
        if self.broken:
            raise BadIdentifier("x")
        if not self.installed:
            raise PluginNotFound
        return Installation("1", tenant, IDENTIFIER, RuntimeType.LOCAL)


class HooksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.world = Clock(), Everything()
        self.runtime = self.world.runtime
        invoker = Invoker(self.clock, MemoryCallbacks(), Deadlines(self.clock, 600))
        hooks = Hooks(self.world, self.world, self.world, invoker, Bodies(execute), 10_000, 2)  # type: ignore[arg-type]
        self.site = site_of(mounts=[hooks.mount()], clock=self.clock)
        self.cable = Cable(self.site)

    def call(self, method: str = "GET", path: str = f"/e/{HOOK}/a", body: bytes = b"", **headers: str) -> bytes:
        sent = {"Host": "h", **({"Content-Length": str(len(body))} if body else {}), **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
        return self.cable.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    def refused(self, answer: bytes) -> tuple[int, int, str]:
        head, _, body = answer.partition(b"\r\n\r\n")
        envelope = json.loads(body)
        return int(head.split()[1]), envelope["code"], json.loads(envelope["message"])["message"]

    def test_what_the_plugin_gets(self) -> None:
        """The action, the settings, the endpoint's id, nobody's user, and the request as hex."""
        self.call("POST", f"/e/{HOOK}//x/?b=2&a=1", b"hi")
        line = self.runtime.request()
        self.assertEqual((line["endpoint_id"], line["app_id"]), ("e-1", None))
        raw = bytes.fromhex(line["data"].pop("raw_http_request"))
        self.assertEqual(line["data"], {"user_id": "", "type": "endpoint", "action": "invoke_endpoint", "settings": {"colour": "red"}})
        self.assertTrue(raw.startswith(b"POST //x/?a=1&b=2 HTTP/1.1\r\nHost: h\r\n"), raw)
        self.assertTrue(raw.endswith(b"\r\n\r\nhi"))

    def test_encoded_path(self) -> None:
        """A path is read decoded, and once: also the hook's id and the slash behind it."""
        self.call(path=f"/e/%71{HOOK[1:]}%2Fa%252F%FF")
        raw = bytes.fromhex(self.runtime.request()["data"]["raw_http_request"])
        self.assertTrue(raw.startswith(b"GET /a%252F%FF HTTP/1.1\r\n"), raw)

    def test_answer(self) -> None:
        """Head and bytes are the plugin's, sent as they come."""
        self.call()
        self.runtime.play({"status": 207, "headers": {"X-From": "plugin"}}, {"result": b"one".hex()}, end=False)
        head, _, body = self.cable.read().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 207 "))
        self.assertIn(b"x-from: plugin", head.lower())
        self.assertEqual(body, b"3\r\none\r\n")
        self.runtime.play({"result": b"two".hex()})
        self.assertEqual(self.cable.read(), b"3\r\ntwo\r\n0\r\n\r\n")

    def test_head_alone(self) -> None:
        """An empty first piece sends the head, for a caller may wait for it; an answer of nothing else says that it is empty."""
        self.call()
        self.runtime.play({"status": 202, "result": ""}, end=False)
        self.assertTrue(self.cable.read().startswith(b"HTTP/1.1 202 "))
        self.runtime.play({"result": b"late".hex()})
        self.assertEqual(self.cable.read(), b"4\r\nlate\r\n0\r\n\r\n")
        self.call()
        self.runtime.play({"status": 404})
        head, _, body = self.cable.read().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: 0", head)
        self.assertEqual(body, b"")

    def test_without_body(self) -> None:
        """HEAD, 204 and 304 have none, and the connection goes on."""
        for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)):
            self.call(method)
            self.runtime.play({"status": status, "headers": {}, "result": b"body".hex()})
            answer = self.cable.read()
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
            self.assertEqual(b"body" in answer, (method, status) == ("GET", 200), answer)
            self.assertEqual(b"Content-Type" in answer, status == 200, answer)

    def test_refusals(self) -> None:
        """Each step has its own refusal (http-api 11.1)."""
        self.assertEqual(self.refused(self.call(path="/e/nobody/a")), (404, -400, "endpoint not found"))
        self.world.endpoint = attrs.evolve(ENDPOINT, enabled=False)
        self.assertEqual(self.refused(self.call()), (404, -404, "endpoint not found"))
        self.world.installed = False
        self.assertEqual(self.refused(self.call()), (404, -400, "plugin installation not found"))
        self.world.broken = True
        self.assertEqual(self.refused(self.call()), (400, -400, "invalid plugin unique identifier"))
        self.world.broken = False
        self.world.installed, self.world.endpoint, self.world.locked = True, ENDPOINT, True
        self.assertEqual(self.refused(self.call())[:2], (500, -500))
        self.runtime.declaration = Declaration.decode(b"{}")
        self.assertEqual(self.refused(self.call()), (404, -404, "plugin not found"))

    def test_no_route(self) -> None:
        """Other methods are no route, nor is no hook at all; a hook without a slash is told where it is."""
        for method, path in (("PATCH", f"/e/{HOOK}/a"), ("GET", "/e/"), ("GET", "/e//a")):
            self.assertIn(b'{"code":"not_found","message":"route not found"}', self.call(method, path))
        answer = self.call(path=f"/e/{HOOK}?a=1")
        self.assertTrue(answer.startswith(b"HTTP/1.1 301 "), answer)
        self.assertIn(f"/e/{HOOK}/?a=1".encode(), answer)
        self.assertTrue(self.call("POST", path=f"/e/{HOOK}").startswith(b"HTTP/1.1 307 "))

    def test_too_large(self) -> None:
        """A body over the limit is refused by its head, not cut."""
        answer = self.call("POST", **{"Content-Length": str(BODY.size + 1)})
        self.assertEqual(self.refused(answer)[:2], (413, -400))

    def test_error_before_the_answer(self) -> None:
        """An error before the first byte is a 500 whose message is the plugin's error."""
        self.call()
        self.runtime.session.error(b'{"error_type":"E","message":"m","args":{}}')
        status, code, message = self.refused(self.cable.read())
        self.assertEqual((status, code, json.loads(message)), (500, -500, {"error_type": "E", "message": "m", "args": {}}))

    def test_error_in_the_answer(self) -> None:
        """After that the caller sees a broken answer, never one that looks whole."""
        self.call()
        self.runtime.play({"result": b"half".hex()}, end=False)
        self.cable.read()
        self.runtime.session.error(b"{}")
        self.assertTrue(self.cable.socket.disconnecting)
        self.assertEqual(self.cable.read(), b"")

    def test_time_limit(self) -> None:
        """A plugin that does not answer is given up with the reason."""
        self.call()
        self.clock.advance(600)
        self.assertEqual(self.refused(self.cable.read()), (500, -500, "killed by timeout"))

    def test_caller_leaves(self) -> None:
        """The session is closed when the caller has gone."""
        self.call()
        self.cable.hang_up()
        self.assertEqual([channel.closed for channel in self.runtime.channels], [1])

    def test_upgraded_meanwhile(self) -> None:
        """A plugin that is upgraded while Dify decrypts the settings is called in its new version."""
        self.world.decrypted = Deferred()
        self.call()
        self.world.runtime = MemoryRuntime(declaration=DECLARED)
        self.world.decrypted.callback(None)
        self.assertEqual((self.runtime.channels, len(self.world.runtime.channels)), ([], 1))

    def test_many_callers(self) -> None:
        """Beyond the limit of concurrent calls a caller is told to come again; an end makes room."""
        cables = [Cable(self.site) for _ in range(3)]
        for self.cable in cables:
            answer = self.call()
        self.assertEqual(self.refused(answer)[:2], (503, -500))
        self.runtime.play({"result": ""})
        self.call()
        self.assertEqual(len(self.runtime.channels), 3)
