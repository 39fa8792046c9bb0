"""Calls over HTTP, through the real site on a memory transport, to a plugin in memory."""

import gc
import json
import weakref
from typing import Any

from attrs import define, field
from twisted.internet.defer import execute
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import NoRuntime, PluginNotFound
from difyd.invoke.deadlines import Deadlines
from difyd.invoke.invoker import Invoker
from difyd.runtime.interfaces import IPluginRuntime
from difyd.web.auth import Key
from difyd.web.body import Bodies
from difyd.web.dispatch import Dispatch
from difyd.web.routes import Group
from difyd.web.traffic import trace_of
from tests.invoke.fakes import IDENTIFIER, MemoryCallbacks, MemoryRuntime
from tests.web.cable import KEY, TENANT, Cable, site_of

CALL = {"user_id": "u", "data": {"provider": "p", "tool": "t", "tool_parameters": {}, "credentials": {}}}
TEXT = {"type": "text", "message": {"text": "a"}, "meta": None}
JSON = {"Content-Type": "application/json"}
POLL = {"provider": "p", "model": "m", "model_type": "llm", "plugin_state": {"a": 1}}


@define(eq=False)
class Everything:
    """One plugin, installed for one tenant and running unless `down` says why not."""

    runtime: MemoryRuntime = field(factory=MemoryRuntime)
    down: str = ""

    async def find(self, tenant: str, plugin: str | PluginIdentifier, kind: RuntimeType | None = None) -> Any:
        """Both the catalog's and the supervisor's."""
        if isinstance(plugin, str):
            return self._installation(tenant, plugin)
        return self._running(plugin)

    def _installation(self, tenant: str, plugin_id: str) -> Installation:
        if (tenant, plugin_id) != (TENANT, IDENTIFIER.plugin_id):
            raise PluginNotFound
        return Installation("1", tenant, IDENTIFIER, RuntimeType.LOCAL)

    def _running(self, identifier: PluginIdentifier) -> IPluginRuntime:
        if self.down or identifier != IDENTIFIER:
            raise NoRuntime(self.down)
        return self.runtime


class DispatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.world, self.callbacks = Clock(), Everything(), MemoryCallbacks()
        self.runtime = self.world.runtime
        invoker = Invoker(self.clock, self.callbacks, Deadlines(self.clock, 600))
        dispatch = Dispatch(self.world, self.world, invoker, Bodies(execute), 10_000)
        self.cable = Cable(site_of(Group(dispatch, Key("X-Api-Key", KEY)), clock=self.clock))

    def post(
        self, path: str = "tool/invoke", body: Any = CALL, version: str = "1.1", prefix: str = f"/plugin/{TENANT}", **headers: str
    ) -> bytes:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Host": "h", "X-Api-Key": KEY.decode(), "X-Plugin-ID": "acme/demo", "Content-Length": str(len(content)), **JSON, **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items() if value)
        return self.cable.send(f"POST {prefix}/dispatch/{path} HTTP/{version}\r\n{head}\r\n".encode() + content)

    def refused(self, answer: bytes, status: int, error_type: str) -> str:
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertEqual(int(head.split()[1]), status, answer)
        envelope = json.loads(body)
        self.assertNotIn("data", envelope)
        error = json.loads(envelope["message"])
        self.assertEqual(error["error_type"], error_type)
        return str(error["message"])

    def test_events(self) -> None:
        """Nothing is sent before the first event; its head goes out with it; the end of the answer is the end of the body."""
        self.assertEqual(self.post(), b"")
        self.runtime.play(TEXT, end=False)
        head, _, body = self.cable.read().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"))
        self.assertIn(b"Content-Type: text/event-stream", head)
        event = b'data: {"code":0,"message":"success","data":' + json.dumps(TEXT, separators=(",", ":")).encode() + b"}\n\n"
        self.assertEqual(body, b"%x\r\n%b\r\n" % (len(event), event))
        self.runtime.play(TEXT, TEXT)
        self.assertEqual(self.cable.read(), b"%x\r\n%b\r\n0\r\n\r\n" % (2 * len(event), 2 * event))

    def test_next_call_on_the_connection(self) -> None:
        """After an answer, an empty one, a failed one and a refused one the connection goes on."""
        for play in (lambda: self.runtime.play(TEXT), lambda: self.runtime.play(), lambda: self.runtime.session.error(b"{}")):
            self.post()
            play()
            self.assertTrue(self.cable.read().startswith(b"HTTP/1.1 200 "))
            self.refused(self.post(body={}), 400, "PluginDaemonBadRequestError")
        self.assertFalse(self.cable.socket.disconnecting)

    def test_nothing_is_left_behind(self) -> None:
        """What a call was made of is gone with it, without waiting for the collector of circles, whose rounds all calls would pay for."""
        gc.disable()
        self.addCleanup(gc.enable)
        self.post()
        left = weakref.ref(self.runtime.session)
        self.runtime.play(TEXT)
        self.runtime.channels.clear()
        self.assertIsNone(left())

    def test_no_chunks(self) -> None:
        """A plugin that ends without a word gives an empty stream."""
        self.post()
        self.runtime.play()
        head, _, body = self.cable.read().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: text/event-stream", head)
        self.assertEqual(body, b"")

    def test_http_1_0(self) -> None:
        """Without chunked framing the body ends with the connection."""
        self.post(version="1.0")
        self.runtime.play(TEXT)
        head, _, body = self.cable.read().partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head.lower())
        self.assertTrue(body.startswith(b"data: {"))
        self.assertTrue(self.cable.socket.disconnecting)

    def test_failure_is_the_last_event(self) -> None:
        """What goes wrong after the call was made is an event, whatever it is; text of others stays on one line."""
        self.post()
        self.runtime.play(TEXT, end=False)
        self.cable.read()
        self.runtime.session.error('{"error_type":"E","message":"a\u2028\x85b","args":{}}'.encode())
        body = self.cable.read()
        self.assertFalse("\u2028".encode() in body or "\x85".encode() in body)
        envelope = json.loads(body.split(b"data: ")[1].split(b"\n")[0])
        inner = json.loads(json.loads(envelope["message"])["message"])
        self.assertEqual((envelope["code"], inner["message"]), (-500, "a\u2028\x85b"))

    def test_not_written(self) -> None:
        """A request that no instance took is an error event too."""
        self.runtime.refusal = "no proper instance"
        answer = self.post()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertIn(rb"no proper instance\\nfailed to write request", answer)

    def test_order_of_checks(self) -> None:
        """Key, plugin id, installation, runtime, body: the first that fails is told (http-api 7.1)."""
        self.refused(self.post(X_Api_Key="wrong", X_Plugin_ID="", body=b"{"), 401, "PluginDaemonUnauthorizedError")
        del self.cable
        self.setUp()
        self.assertIn("plugin_id is required", self.refused(self.cable.send(self.without_plugin_id()), 400, "PluginDaemonBadRequestError"))
        told = self.refused(self.post(X_Plugin_ID="acme/other", body=b"{"), 404, "PluginNotFoundError")
        self.assertTrue(told.startswith("plugin not found: acme/other is not installed"), told)
        self.world.down = "no grapes"
        self.assertIn("no grapes", self.refused(self.post(body=b"{"), 404, "PluginDaemonInternalServerError"))
        self.world.down = ""
        self.refused(self.post(body=b"{"), 400, "PluginDaemonBadRequestError")

    def test_content_type(self) -> None:
        """Only JSON is a call (http-api 4), whatever stands in the body; parameters of the type do not matter."""
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/json5"):
            told = self.refused(self.post(**{"Content-Type": kind}), 400, "PluginDaemonBadRequestError")
            self.assertIn("Content-Type: application/json", told)
        for kind in ("application/json; charset=utf-8", "Application/JSON"):
            self.post(**{"Content-Type": kind})
            self.runtime.play(TEXT)
            self.assertIn(b"200 OK", self.cable.read())

    def without_plugin_id(self) -> bytes:
        head = f"POST /plugin/{TENANT}/dispatch/tool/invoke HTTP/1.1\r\nHost: h\r\nX-Api-Key: {KEY.decode()}\r\nContent-Length: 1\r\n\r\n"
        return head.encode() + b"{"

    def test_client_leaves(self) -> None:
        """The session is closed once; what the plugin writes on goes nowhere."""
        self.post()
        self.runtime.play(TEXT, end=False)
        self.cable.hang_up()
        self.runtime.play(TEXT)
        self.assertEqual([channel.closed for channel in self.runtime.channels], [1])
        self.assertEqual(len(self.callbacks.closed), 1)

    def test_slow_client(self) -> None:
        """What a client does not read waits for it, up to the limit; then its call ends with an error, and the plugin never waited."""
        self.post()
        self.runtime.play(TEXT, end=False)
        self.cable.read()
        self.cable.socket.producer.pauseProducing()
        self.runtime.play(*[TEXT] * 50, end=False)
        self.assertEqual(self.cable.read(), b"")
        self.cable.socket.producer.resumeProducing()
        self.assertEqual(self.cable.read().count(b"data: "), 50)
        self.cable.socket.producer.pauseProducing()
        self.runtime.play(*[TEXT] * 50, end=False)
        self.runtime.play(*[TEXT] * 500, end=False)
        self.assertEqual(self.runtime.channels[0].closed, 1)
        self.cable.socket.producer.resumeProducing()
        rest = self.cable.read()
        self.assertEqual(rest.count(b"data: "), 51)
        self.assertIn(b"PLUGIN_SESSION_BUFFER", rest)

    def test_polling(self) -> None:
        """A polling route answers one plain envelope with the last chunk; its errors have status 200, for Dify reads the body."""
        for chunks, code in ([{"status": "failed", "error": "e"}], 0), ([], -500):
            self.assertEqual(self.post("model/polling/check", {"data": POLL}), b"")
            self.runtime.play(*chunks)
            head, _, body = self.cable.read().partition(b"\r\n\r\n")
            self.assertIn(b"application/json", head)
            self.assertEqual((head.split()[1], json.loads(body)["code"]), (b"200", code))
        error = json.loads(json.loads(json.loads(body)["message"])["message"])
        self.assertEqual(error["message"], "no polling result received from plugin")

    def test_by_identifier(self) -> None:
        """Below /v2/invoke the plugin is named by its identifier, the tenant by the body; nothing is polled there."""
        named = {"prefix": "/v2/invoke", "X_Plugin_Unique_Identifier": IDENTIFIER.text}
        self.post(body={**CALL, "tenant_id": TENANT}, **named)  # type: ignore[arg-type]
        self.runtime.play(TEXT)
        self.assertIn(b'"text":"a"', self.cable.read())
        self.assertIn("tenant_id", self.refused(self.post(**named), 400, "PluginDaemonBadRequestError"))  # type: ignore[arg-type]
        self.refused(self.post(prefix="/v2/invoke", X_Plugin_Unique_Identifier="x"), 400, "PluginUniqueIdentifierError")
        self.refused(self.post(prefix="/v2/invoke"), 400, "PluginDaemonBadRequestError")
        self.assertTrue(self.post("model/polling/check", **named).startswith(b"HTTP/1.1 404 "))  # type: ignore[arg-type]

    def test_log_line(self) -> None:
        """The line of a call names the plugin, and why the call failed, which its HTTP status does not say."""
        events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.post()
        self.runtime.session.error(b'{"error_type":"ValueError","message":"a secret","args":{}}')
        self.post("model/polling/check", {"data": POLL})
        self.clock.advance(600)
        self.post(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        trace = self.runtime.session.call.traceparent
        self.runtime.play(TEXT)
        lines = [event for event in events if event["log_format"] == "HTTP request"]
        self.assertEqual([line["identifier"] for line in lines], [IDENTIFIER.text] * 3)
        self.assertEqual([line.get("error") for line in lines], ["ValueError", "KilledByTimeout", None])
        self.assertEqual((trace, lines[2]["trace"]), ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", trace[3:35]))
        self.assertNotIn("a secret", str(lines))

    def test_trace_of_ours(self) -> None:
        """A call without a trace has one of ours, in the log and in all that it causes."""
        self.post()
        request = self.cable.channel.requests[0]
        self.assertEqual(self.runtime.session.call.traceparent, trace_of(request))

    def test_nothing_but_memory(self) -> None:
        """In the steady state a call makes no thread hop and leaves no timer behind."""
        self.post()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.runtime.play(TEXT)
        self.assertEqual(self.clock.getDelayedCalls(), [])
