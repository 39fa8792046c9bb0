"""One call, from its body to its end."""

import json
from typing import Any

from attrs import define, evolve, field
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from difyd.errors import BadRequest, ClientTooSlow, ConnectionClosed, KilledByTimeout, PluginInvokeError, WriteFailed
from difyd.invoke.actions import ACTIONS, Action
from difyd.invoke.answers import IChunkSink, event_answer
from difyd.invoke.deadlines import Deadlines
from difyd.invoke.invoker import Invoker, decode_request
from difyd.invoke.session import Session, plugin_error
from difyd.runtime.interfaces import ISession
from tests.invoke.fakes import MemoryCallbacks, MemoryRuntime

TENANT = "11111111-1111-1111-1111-111111111111"
BY_PATH = {action.path: action for action in ACTIONS}
TOOL = {"provider": "p", "tool": "t", "tool_parameters": {}, "credentials": {}}
TEXT = {"type": "text", "message": {"text": "a"}, "meta": None}


@implementer(IChunkSink)
@define(eq=False)
class MemorySink:
    """What a client has been sent; with `limit`, one that does not read."""

    limit: int = 1_000_000
    writes: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> None:
        if len(data) > self.limit:
            raise ClientTooSlow(self.limit)
        self.writes.append(data)

    def events(self) -> list[Any]:
        return [json.loads(event.removeprefix(b"data: ")) for event in b"".join(self.writes).split(b"\n\n") if event]


class InvokerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.callbacks, self.runtime, self.sink = Clock(), MemoryCallbacks(), MemoryRuntime(), MemorySink()
        self.silence = 0.0

    def call(self, data: dict[str, Any] = TOOL, path: str = "tool/invoke", **common: Any) -> Deferred[None]:
        return self.call_body(json.dumps({"user_id": "u", **common, "data": data}).encode(), BY_PATH[path])

    def call_body(self, body: bytes, action: Action = BY_PATH["tool/invoke"]) -> Deferred[None]:
        invoker = Invoker(self.clock, self.callbacks, Deadlines(self.clock, 600), self.silence)
        answer = event_answer(action, self.sink)
        return Deferred.fromCoroutine(invoker.run(decode_request(action, body), TENANT, self.runtime, answer))

    def assertClosed(self) -> None:
        """The channel has forgotten the session, no timer is left, callbacks have heard of the end."""
        self.assertEqual([channel.closed for channel in self.runtime.channels], [1] * len(self.runtime.channels))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.callbacks.closed), max(1, len(self.runtime.channels)))

    def test_chunks_become_events(self) -> None:
        """The chunks of one read are one write of events, in order; the plugin's end is the end of the call."""
        called = self.call()
        verifyObject(ISession, self.runtime.session)
        self.runtime.play(TEXT, TEXT, end=False)
        self.assertNoResult(called)
        self.runtime.play(TEXT)
        self.successResultOf(called)
        self.assertEqual([write.count(b"data: ") for write in self.sink.writes], [2, 1])
        self.assertEqual(self.sink.events(), [{"code": 0, "message": "success", "data": TEXT}] * 3)
        self.assertClosed()

    def test_request_line(self) -> None:
        """A request has exactly eight members; fields of the body and of the action are in their places."""
        context = {"credentials": {"tool_credentials": {"x": "1"}}}
        self.call(conversation_id="c", message_id="m", app_id="a", endpoint_id="e", context=context).addErrback(lambda _: None)
        line = self.runtime.request()
        data = {**TOOL, "user_id": "u", "type": "tool", "action": "invoke_tool"}
        ids = {"conversation_id": "c", "message_id": "m", "app_id": "a", "endpoint_id": "e", "context": context}
        self.assertEqual(line, {"session_id": line["session_id"], **ids, "event": "request", "data": data})

    def test_nobody_forges_a_line(self) -> None:
        """Newlines between the tokens of a body, and members that are ours, do not become a second line or another action."""
        forged = '{"session_id":"x","event":"request","data":{}}'
        self.call_body(
            (
                '{"user_id":"u",\n"session_id":"forged","event":"backwards_response","tenant_id":"other","data":\r\n{'
                f'"provider":"p","tool":"t","tool_parameters":{{\n{json.dumps("a")}:\r\n{forged}\n}},'
                '"action":"invoke_llm","type":"model","user_id":"root","\\u0061ction":"invoke_llm"\n}}'
            ).encode()
        ).addErrback(lambda _: None)
        line = self.runtime.request()  # which checks that it is one
        self.assertNotEqual(line["session_id"], "forged")
        self.assertEqual(line["event"], "request")
        self.assertEqual([line["data"][name] for name in ("action", "type", "user_id")], ["invoke_tool", "tool", "u"])
        self.assertEqual(line["data"]["tool_parameters"], {"a": json.loads(forged)})

    def test_plugin_error(self) -> None:
        """What came before an error is delivered; nothing after it is."""
        called = self.call()
        self.runtime.play(TEXT, end=False)
        self.runtime.session.stream(Raw(json.dumps(TEXT).encode()))
        self.runtime.session.error(b'{"error_type":"E","message":"m","args":{"n":1.0}}')
        self.runtime.play(TEXT)
        why = self.failureResultOf(called, PluginInvokeError).value
        self.assertEqual(why.to_json(), '{"args":{"n":1.0},"error_type":"E","message":"m"}')
        self.assertEqual(len(self.sink.events()), 2)
        self.assertClosed()

    def test_bad_chunk(self) -> None:
        """A chunk of the wrong shape ends the call, after what came before it."""
        called = self.call()
        self.runtime.play(TEXT, {"type": "smell"}, TEXT)
        self.assertEqual(self.failureResultOf(called, PluginInvokeError).value.error_type, "unmarshal_error")
        self.assertEqual(len(self.sink.events()), 1)
        self.assertClosed()

    def test_unknown_message(self) -> None:
        """A session message that nobody knows ends the call with its name."""
        called = self.call()
        self.runtime.session.unknown("smell")
        why = self.failureResultOf(called, PluginInvokeError).value
        self.assertEqual((why.error_type, why.message), ("unknown_stream_message_type", "unknown stream message type: smell"))

    def test_process_gone(self) -> None:
        """A session that its channel cannot serve any more ends at once."""
        called = self.call()
        self.runtime.session.broken(ConnectionClosed())
        self.failureResultOf(called, ConnectionClosed)
        self.assertClosed()

    def test_slow_client(self) -> None:
        """A client for which too much waits loses its call; its plugin and other calls do not notice."""
        self.sink.limit = 10
        called = self.call()
        self.runtime.play(TEXT, end=False)
        self.failureResultOf(called, ClientTooSlow)
        self.assertClosed()

    def test_refused(self) -> None:
        """A request that did not reach its plugin fails as such."""
        self.runtime.refusal = "no proper instance"
        called = self.call()
        self.assertEqual(str(self.failureResultOf(called, WriteFailed).value), "no proper instance\nfailed to write request")
        self.assertClosed()

    def test_execution_limit(self) -> None:
        """The limit is a total one: chunks do not lengthen it."""
        called = self.call()
        self.clock.advance(599)
        self.runtime.play(TEXT, end=False)
        self.assertNoResult(called)
        self.clock.advance(1)
        self.assertEqual(str(self.failureResultOf(called, KilledByTimeout).value), "killed by timeout")
        self.assertClosed()

    def test_silence_limit(self) -> None:
        """With a limit for silence, a plugin that keeps writing goes on, and one that stops is given up."""
        self.silence = 30
        called = self.call()
        for _ in range(3):
            self.clock.advance(29)
            self.runtime.play(TEXT, end=False)
            self.clock.advance(29)
            self.runtime.session.invoke(b"{}")
        self.assertNoResult(called)
        self.clock.advance(30)
        self.failureResultOf(called, KilledByTimeout)
        self.assertClosed()

    def test_bug_of_ours(self) -> None:
        """What nobody foresaw, in a chunk or on its way out, ends this call, with the cause."""

        def broken(_: Raw) -> Raw:
            raise ZeroDivisionError

        called = self.call_body(json.dumps({"data": TOOL}).encode(), evolve(BY_PATH["tool/invoke"], check=broken))
        self.runtime.play(TEXT)
        self.failureResultOf(called, ZeroDivisionError)
        self.assertClosed()

    def test_client_gone(self) -> None:
        """Cancelling closes the session once; what the plugin still writes goes nowhere."""
        called = self.call()
        called.cancel()
        self.failureResultOf(called, CancelledError)
        self.runtime.play(TEXT)
        self.assertEqual(self.sink.writes, [])
        self.assertClosed()

    def test_callbacks(self) -> None:
        """A plugin's own calls are handed on while the session is open, also those that come before its channel is known."""
        called = self.call()
        self.runtime.session.invoke(b"{}")
        self.runtime.play()
        self.runtime.session.invoke(b'"late"')
        self.successResultOf(called)
        self.assertEqual(self.callbacks.invoked, [b"{}"])

    def test_early_callback(self) -> None:
        """An invocation before `attach` waits for it."""
        called = self.call()
        (channel,) = self.runtime.channels
        assert isinstance(channel.session, Session)
        early = Session(channel.session.call, b"", False, event_answer(BY_PATH["tool/invoke"], self.sink), self.callbacks)
        early.invoke(b"{}")
        self.assertEqual(self.callbacks.invoked, [])
        early.attach(channel)
        self.assertEqual(self.callbacks.invoked, [b"{}"])
        called.addErrback(lambda _: None)


class BodyTests(SynchronousTestCase):
    """What is refused before a plugin sees it."""

    def refused(self, body: bytes, path: str = "tool/invoke") -> str:
        with self.assertRaises(BadRequest) as caught:
            decode_request(BY_PATH[path], body)
        return str(caught.exception)

    def test_no_call(self) -> None:
        """A body that is no JSON object with an object `data`."""
        whole = json.dumps({"data": TOOL}).encode()
        for body in (b"", b"{", b"[]", b"null", b"x", b'{"user_id":"u"}', b'{"data":null}', b'{"data":[]}', whole[:-1], whole + b"x",
                     whole.replace(b"{}", b"NaN"), whole.replace(b"{}", b"01"), b'{"data":' + b"[" * 100_000 + b"}"):  # fmt: skip
            with self.subTest(body[:30]):
                self.assertIn("no JSON object of a dispatch call", self.refused(body))

    def test_every_bad_member_is_named(self) -> None:
        """One line for each member that is missing or wrong."""
        told = self.refused(b'{"data":{"provider":"","tool_parameters":5,"credential_type":1}}').splitlines()
        self.assertEqual([line.split("'")[1] for line in told], ["data.provider", "data.tool", "data.tool_parameters", "data.credential_type"])
        self.assertIn("failed on the 'required' tag", told[1])

    def test_nested_members_are_named(self) -> None:
        """Members of members have their path."""
        told = self.refused(b'{"data":{"provider":"p","datasource":"d","request":{"max_keys":0}}}', "datasource/online_drive_browse_files")
        self.assertIn("must not be 0", told)
        told = self.refused(b'{"data":{"provider":"p","datasource":"d","request":{}}}', "datasource/online_drive_browse_files")
        self.assertIn("'data.request.max_keys'", told)

    def test_empty_credential_type(self) -> None:
        """An empty one is left out, as one that is null or absent: the SDK refuses it."""
        for empty in (b'""', b"null"):
            request = decode_request(BY_PATH["tool/invoke"], b'{"data":{"provider":"p","tool":"t","credential_type":%b}}' % empty)
            self.assertNotIn("credential_type", request.data)

    def test_zero_keys(self) -> None:
        """0 is no number of keys, however it is written."""
        for zero in (b"0", b"-0"):
            body = b'{"data":{"provider":"p","datasource":"d","request":{"max_keys":%b}}}' % zero
            self.assertIn("must not be 0", self.refused(body, "datasource/online_drive_browse_files"))

    def test_lone_surrogate(self) -> None:
        """Half a surrogate pair becomes the replacement character; bytes that are no UTF-8 too."""
        request = decode_request(BY_PATH["tool/invoke"], b'{"data":{"provider":"a\\ud800b","tool":"\xff"}}')
        self.assertEqual([json.loads(bytes(request.data[name])) for name in ("provider", "tool")], ["a\ufffdb", "\ufffd"])


class PluginErrorTests(SynchronousTestCase):
    def test_any_shape(self) -> None:
        """Whatever a plugin sends as an error is one that a client can read."""
        for data in (b"null", b'"text"', b"5", b"[]", b"{}", b'{"error_type":5,"message":{"a":1},"args":"x"}', b'{"message":"m"}'):
            error = json.loads(plugin_error(data).to_json())
            self.assertEqual({type(error["error_type"]), type(error["message"])}, {str})
            self.assertTrue(error["error_type"])

    def test_many_arguments(self) -> None:
        """More than ten arguments are cut, not a reason to lose the error."""
        error = plugin_error(json.dumps({"error_type": "E", "message": "m", "args": {str(n): n for n in range(11)}}).encode())
        self.assertEqual(len(json.loads(error.to_json())["args"]), 10)
