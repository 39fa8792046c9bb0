"""Plugins call Dify: every invocation has one end, whatever happens on either side."""

from typing import Any

from attrs import define, field
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.callback.callbacks import Callbacks
from difyd.callback.dify import Dify, traceparent
from difyd.callback.interfaces import ICallbacks
from difyd.callback.invocation import BIG, BIG_AT_ONCE
from difyd.callback.messages import BadMessage
from difyd.callback.storage import PluginStorage
from difyd.entities.call import Call
from difyd.runtime.interfaces import IChannel
from difyd.telemetry.metrics import Invocations, Metrics, NoMetrics
from tests.callback.fakes import LLM, Channel, Rig, begun, call, chunk, declaration, frame, message, silent, single, whole
from tests.callback.test_storage import MemoryData

SUMMARY = {"text": "long"}


@define(eq=False)
class Counts(NoMetrics):
    """What was counted of invocations: type, status, seconds, bytes. `running` holds the types of those under way."""

    ended_: list[tuple[str, str, float, int]] = field(factory=list)
    running: list[str] = field(factory=list)

    def invocations(self, plugin_id: str, kind: str) -> Invocations:
        counts = self
        assert plugin_id == "acme/demo"

        class Counted:
            def began(self) -> None:
                counts.running.append(kind)

            def ended(self, status: str, seconds: float, size: int) -> None:
                counts.running.remove(kind)
                counts.ended_.append((kind, status, seconds, size))

        return Counted()


class CallbacksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig()
        self.data = MemoryData()
        self.callbacks = self.make()
        self.call, self.channel = call(), Channel()
        verifyObject(ICallbacks, self.callbacks)
        verifyObject(IChannel, self.channel)

        self.told: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.told.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.told.append)

    def make(self, per_plugin: int = 100, per_tenant: int = 100, metrics: Metrics | None = None) -> Callbacks:
        storage = PluginStorage(self.data)  # type: ignore[arg-type]
        return Callbacks(self.rig.clock, Dify(self.rig.api), storage, per_plugin, per_tenant, metrics or NoMetrics())

    def tearDown(self) -> None:
        """Nothing is left: no invocation, no timer, no request."""
        self.callbacks.close(self.call)
        self.rig.agent.flush()
        self.assertEqual((len(self.callbacks), self.rig.clock.getDelayedCalls()), (0, []))
        self.assertEqual([asked for asked in self.rig.dify.asked if not (asked.gone or asked.request.finished)], [])

    def invoke(self, kind: str, request: dict[str, Any], request_id: str = "r1", of: Call | None = None) -> None:
        self.callbacks.invoke(of or self.call, self.channel, message(kind, request, request_id))
        self.rig.agent.flush()

    def test_result(self) -> None:
        """A result is one `struct` and an end, in one write; Dify was asked in the name of the call."""
        self.rig.dify.answers["invoke/summary"] = single({"summary": "s", "n": 1})
        self.invoke("system_summary", SUMMARY)
        self.assertEqual(len(self.channel.writes), 1)
        self.assertEqual(self.channel.events, [("response", {"summary": "s", "n": 1}), ("end", "")])
        self.assertEqual(self.channel.lines[0]["data"]["message"], "struct")
        (asked,) = self.rig.dify.asked
        self.assertEqual((asked.body["tenant_id"], asked.body["user_id"]), ("tenant-1", "user-1"))

    def test_stream(self) -> None:
        """Chunks reach the plugin as they come, those that came together in one write; then an end."""
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM)
        self.rig.write(frame(chunk("a")) + frame(chunk("b")))
        self.assertEqual((len(self.channel.writes), self.channel.events), (1, [("response", chunk("a")), ("response", chunk("b"))]))
        self.assertEqual({line["data"]["message"] for line in self.channel.lines}, {"stream"})
        self.rig.write(frame(chunk("c")), end=True)
        self.assertEqual(self.channel.events[2:], [("response", chunk("c")), ("end", "")])

    def test_empty_stream(self) -> None:
        """An answer without frames is an end without responses."""
        self.rig.dify.answers["invoke/llm"] = whole(b"")
        self.invoke("llm", LLM)
        self.assertEqual(self.channel.events, [("end", "")])

    def test_forged_line(self) -> None:
        """A frame of Dify cannot become a second line, whose ever it would be."""
        forged = b'{"data":{"event":"x",\n"a":\r\n{"session_id":"other","event":"backwards_response"}\n}\n}'
        self.rig.dify.answers["invoke/app"] = whole(frame(forged))
        self.invoke("app", {"app_id": "a"})
        self.assertEqual([line["session_id"] for line in self.channel.lines], [self.call.session] * 2)

    def test_failures(self) -> None:
        """Each failure is one error with what was tried and the cause, then one end; what came before is delivered."""
        good = frame(chunk())
        for answer, events in (
            (whole(b"oops", 500), [("error", "invoke llm model failed: request failed with status code: 500 and respond with: oops")]),
            (whole(frame(None, "boom")), [("error", "read llm model failed: request failed: boom")]),
            (whole(good + frame(None, "boom") + good), [("response", chunk()), ("error", "read llm model failed: request failed: boom")]),
            (whole(good + frame(None)), [("response", chunk()), ("error", "read llm model failed: data is nil")]),
            (whole(good + good[:9]), [("response", chunk()), ("error", "read llm model failed: unexpected EOF\nfailed to read header")]),
        ):
            self.channel.writes.clear()
            self.rig.dify.answers["invoke/llm"] = answer
            self.invoke("llm", LLM)
            self.assertEqual(self.channel.events, [*events, ("end", "")])

    def test_bad_chunk(self) -> None:
        """A chunk that the SDK could not read is an error, and so is a result; nothing is swallowed."""
        self.rig.dify.answers["invoke/llm"] = whole(frame(chunk()) + frame({"model": "m"}) + frame(chunk()))
        self.rig.dify.answers["invoke/summary"] = single({"summary": 7})
        self.invoke("llm", LLM)
        self.invoke("system_summary", SUMMARY)
        response, error, end, other, _ = self.channel.events
        self.assertEqual((response[0], error[0], end[0]), ("response", "error", "end"))
        self.assertTrue(error[1].startswith("read llm model failed: validate request failed: "), error)
        self.assertTrue(other[1].startswith("invoke summary failed: validate request failed: "), other)

    def test_older_dify(self) -> None:
        """A Dify that does not know a route is named as the cause, where that is known to happen."""
        embedding = {"provider": "p", "model": "m", "documents": [], "input_type": "query"}
        self.invoke("multimodal_embedding", embedding)
        self.invoke("system_summary", SUMMARY)
        (_, text), _, (_, other), _ = self.channel.events
        self.assertTrue(text.endswith("multimodal_embedding is not supported by this Dify version"), text)
        self.assertTrue(other.endswith('respond with: {"code": "not_found"}'), other)

    def test_link(self) -> None:
        """The address of an upload is whole, however Dify wrote it."""
        self.rig.dify.answers["upload/file/request"] = single({"url": "/files/upload?sign=a"})
        self.invoke("upload_file", {"filename": "f", "mimetype": "m"})
        self.assertEqual(self.channel.events[0], ("response", {"url": "http://api:5001/files/upload?sign=a"}))

    def test_storage(self) -> None:
        """What the plugin keeps is served here."""
        self.invoke("storage", {"opt": "set", "key": "k", "value": "00"})
        self.invoke("storage", {"opt": "get", "key": "k"})
        self.invoke("storage", {"opt": "drop", "key": "k"})
        ok, _, value, _, (kind, text), end = self.channel.events
        self.assertEqual((ok, value, kind, end), (("response", {"data": "ok"}), ("response", {"data": "00"}), "error", ("end", "")))
        self.assertTrue(text.startswith("unmarshal backwards invoke request failed: error "), text)

    def test_refused(self) -> None:
        """Nobody is asked for what may not be, or is not known; the session goes on."""
        for of, kind, text in (
            (call(access="model"), "llm", "you can not invoke dify from model"),
            (call(access="model"), "foo", "you can not invoke dify from model"),
            (call(declaration=declaration(None)), "llm", "permission denied, you need to enable llm access in plugin manifest"),
            (self.call, "encrypt", "unsupported invoke type: encrypt"),
            (self.call, "", "unsupported invoke type: "),
        ):
            self.channel.writes.clear()
            self.invoke(kind, {"model": 7}, of=of)
            self.assertEqual(self.channel.events, [("error", text), ("end", "")])
        self.channel.writes.clear()
        self.invoke("llm", {"model": 7})
        self.assertEqual([event for event, _ in self.channel.events], ["error", "end"])
        self.callbacks.refuse(self.call, self.channel, "r9", "too long")
        self.assertEqual(self.channel.events[2:], [("error", "too long"), ("end", "")])
        self.assertEqual(self.rig.dify.asked, [])

    def test_malformed(self) -> None:
        """A message that is none is for the session to end with."""
        with self.assertRaises(BadMessage):
            self.callbacks.invoke(self.call, self.channel, b'{"type":"llm"}')
        self.assertEqual(self.channel.writes, [])

    def test_side_by_side(self) -> None:
        """Invocations of one session and of several run at once and are not mixed up."""
        other = call()
        self.rig.dify.answers["invoke/llm"] = begun
        for number, of in enumerate((self.call, self.call, other)):
            self.invoke("llm", LLM, f"r{number}", of)
        self.assertEqual(len(self.callbacks), 3)
        for number in (2, 0, 1):
            self.rig.dify.asked[number].request.write(frame(chunk(str(number))))
            self.rig.dify.asked[number].request.finish()
        self.rig.agent.flush()
        found = {(line["session_id"], line["data"]["backwards_request_id"], line["data"]["event"]) for line in self.channel.lines}
        sessions = (self.call.session, self.call.session, other.session)
        self.assertEqual(found, {(session, f"r{n}", event) for n, session in enumerate(sessions) for event in ("response", "end")})

    def test_session_ends(self) -> None:
        """With its session an invocation is over: the request is cancelled, and not a line is sent any more."""
        for answer in (silent, begun):
            self.rig.dify.answers["invoke/llm"] = answer
            self.invoke("llm", LLM)
            self.callbacks.close(self.call)
            self.callbacks.close(self.call)
            self.assertEqual((len(self.callbacks), self.channel.writes), (0, []))
            self.rig.agent.flush()
            self.assertTrue(self.rig.dify.asked[-1].gone)

    def test_session_ends_by_a_line(self) -> None:
        """A write may end the session that it is for."""
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM)
        self.channel.on_send = lambda: self.callbacks.close(self.call)
        self.rig.write(frame(chunk()), frame(chunk()))
        self.assertEqual(len(self.channel.writes), 1)

    def test_session_ends_at_once(self) -> None:
        """Also the very first one."""
        self.rig.dify.answers["invoke/summary"] = single({"summary": "s"})
        self.channel.on_send = lambda: self.callbacks.close(self.call)
        self.invoke("system_summary", SUMMARY)
        self.invoke("storage", {"opt": "exist", "key": "k"})
        self.assertEqual([event for event, _ in self.channel.events], ["response", "end"] * 2)

    def test_others_go_on(self) -> None:
        """The end of one session takes no other's invocations with it."""
        other = call()
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM, of=other)
        self.invoke("llm", LLM)
        self.callbacks.close(other)
        self.rig.write(frame(chunk()), end=True)
        self.assertEqual([line["session_id"] for line in self.channel.lines], [self.call.session] * 2)

    def test_limits(self) -> None:
        """Beyond the limit of a plugin or a tenant an invocation is refused; one that ends makes room."""
        self.callbacks = self.make(per_plugin=2, per_tenant=3)
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM, "a")
        self.invoke("llm", LLM, "b", call(tenant="tenant-2"))
        self.invoke("llm", LLM, "c")
        self.assertIn("too many invocations at once: 2 of this plugin", self.channel.events[0][1])
        self.rig.write(end=True)
        self.channel.writes.clear()
        self.invoke("llm", LLM, "d")
        self.assertEqual(self.channel.events, [])

    def test_limit_of_a_tenant(self) -> None:
        """All plugins of a tenant have one limit together."""
        self.callbacks = self.make(per_tenant=1)
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM, "a")
        self.invoke("llm", LLM, "b", call(tenant="tenant-2"))
        self.assertEqual(self.channel.events, [])
        self.invoke("llm", LLM, "c")
        self.assertIn("1 of this tenant", self.channel.events[0][1])
        for asked in self.rig.dify.asked:
            asked.request.finish()
        self.rig.agent.flush()

    def test_no_reader(self) -> None:
        """A plugin that asks and asks and does not read comes to its limit, and is served again once it reads."""
        self.callbacks = self.make(per_plugin=2)
        self.channel.full = True
        for _ in range(4):
            self.invoke("storage", {"opt": "exist", "key": "k"})
        self.assertEqual([event for event, _ in self.channel.events], ["error", "end"] * 2)
        self.channel.drain()
        self.assertEqual([event for event, _ in self.channel.events], ["error", "end"] * 2 + ["response", "end"] * 2)
        self.channel.writes.clear()
        self.invoke("storage", {"opt": "exist", "key": "k"})
        self.assertEqual(self.channel.events[0], ("response", {"data": False, "exist_num": 0}))

    def test_one_answer_at_a_time(self) -> None:
        """When a plugin that did not read has room again, one answer goes; if it fills the room, the next waits again."""
        self.channel.full = True
        for key in "abc":
            self.invoke("storage", {"opt": "exist", "key": key})
        self.channel.on_send = lambda: setattr(self.channel, "full", True)
        for count in (1, 2, 3):
            self.assertEqual(len(self.channel.writes), count - 1)
            self.channel.drain()
        self.assertEqual(len(self.channel.writes), 3)

    def test_big_answers(self) -> None:
        """Of the big answers for one plugin a few are read at once; the others wait in Dify, and small ones pass them."""
        self.rig.dify.answers["invoke/summary"] = begun
        self.rig.dify.answers["fetch/app/info"] = single({"data": {}})
        part = b'{"data":{"summary":"' + b"x" * BIG
        for number in range(BIG_AT_ONCE + 2):
            self.invoke("system_summary", SUMMARY, str(number))
            self.rig.write(part)
        for asked in list(self.rig.dify.asked):
            asked.request.write(b'"},"error":""}')
            asked.request.finish()
            self.rig.agent.flush()
            if asked is self.rig.dify.asked[0]:
                self.invoke("fetch_app", {"app_id": "a"}, "small")
        ended = [line["data"]["backwards_request_id"] for line in self.channel.lines if line["data"]["event"] == "end"]
        self.assertEqual(ended, ["0", "small", *map(str, range(1, BIG_AT_ONCE + 2))])

    def test_big_requests(self) -> None:
        """So many bytes of requests of a plugin may wait to be served; one more is refused, however big a single one may be."""
        storage = PluginStorage(self.data)  # type: ignore[arg-type]
        self.callbacks = Callbacks(self.rig.clock, Dify(self.rig.api), storage, largest=300)
        self.rig.dify.answers["invoke/summary"] = silent
        for size in (100, 100, 100):
            self.invoke("system_summary", {"text": "x" * size})
        text = "too many invocations at once: requests of more than 300 bytes of this plugin are under way"
        self.assertEqual(self.channel.events, [("error", text), ("end", "")])
        self.callbacks.close(self.call)
        self.invoke("system_summary", {"text": "x" * 1000})
        self.assertEqual(len(self.callbacks), 1)

    def test_slow_reader(self) -> None:
        """A plugin without room for more holds its own answer up, whose end it still gets."""
        self.rig.dify.answers["invoke/llm"] = begun
        self.channel.full = True
        self.invoke("llm", LLM)
        self.rig.write(frame(chunk("a")))
        self.assertEqual(len(self.channel.waiting), 1)
        self.rig.clock.advance(10_000)
        self.channel.drain()
        self.rig.write(frame(chunk("b")), end=True)
        self.assertEqual([event for event, _ in self.channel.events], ["response", "response", "end"])

    def test_refusals_that_nobody_reads(self) -> None:
        """Refusals wait, too: a plugin that asks for what it may not, again and again, and does not read, comes to an end."""
        self.callbacks = self.make(per_plugin=2)
        self.channel.full = True
        for _ in range(2):
            self.invoke("foo", {})
        with self.assertRaises(BadMessage) as caught:
            self.invoke("foo", {})
        text = "invoke dify failed: unsupported invoke type: foo; 2 refusals wait to be read by the plugin"
        self.assertEqual(caught.exception.message, text)
        self.invoke("storage", {"opt": "exist", "key": "k"})
        self.channel.drain()
        self.invoke("foo", {})
        self.assertEqual([event for event, _ in self.channel.events], ["error", "end"] * 2 + ["response", "end"] + ["error", "end"])

    def test_long_type(self) -> None:
        """Of a type that nobody knows not all is repeated."""
        self.invoke("x" * 1_000_000, {})
        self.assertEqual(self.channel.events[0], ("error", f"unsupported invoke type: {'x' * 100}…"))

    def test_counted(self) -> None:
        """Each invocation is counted once, with the way it ended and the bytes that it sent."""
        counts = Counts()
        self.callbacks = self.make(metrics=counts)
        self.rig.dify.answers["invoke/llm"] = begun
        self.invoke("llm", LLM)
        self.assertEqual(counts.running, ["llm"])
        self.rig.clock.advance(2)
        self.rig.write(frame(chunk()), end=True)
        self.invoke("fetch_app", {"app_id": "a"})
        self.invoke("made up", {})
        self.invoke("llm", LLM, of=call(access="model"))
        self.callbacks.refuse(self.call, self.channel, "r9", "too long")
        self.invoke("llm", LLM)
        self.callbacks.close(self.call)
        self.assertEqual(counts.running, [])
        ended = [(kind, status, seconds) for kind, status, seconds, _ in counts.ended_]
        refused = [("unknown", "refused", 0), ("llm", "refused", 0), ("unknown", "refused", 0)]
        self.assertEqual(ended, [("llm", "success", 2), ("fetch_app", "error", 0), *refused, ("llm", "canceled", 0)])
        self.assertEqual(sum(size for *_, size in counts.ended_), len(b"".join(self.channel.writes)))

    def test_log(self) -> None:
        """One line tells how an invocation went, and nothing of what was asked and answered: Dify's errors may repeat prompts and keys."""
        self.rig.dify.answers["invoke/llm"] = whole(b"invalid payload: input_value='a secret'", 400)
        self.invoke("llm", LLM)
        self.rig.dify.answers["invoke/summary"] = single(None, "Incorrect API key provided: sk-secret")
        self.invoke("system_summary", {"text": "a secret"})
        self.invoke("storage", {"opt": "set", "key": "k", "value": "5ec2e7"})
        lines = [formatEvent(event) for event in self.told if event["log_namespace"] == "difyd.callback.callbacks.Callbacks"]
        self.assertEqual(
            [line.partition(" invoked ")[2] for line in lines],
            [
                "llm: error, invoke llm model failed: request failed with status code: 400 and respond with: … after 0.000 s",
                "system_summary: error, invoke summary failed: request failed: … after 0.000 s",
                "storage: success after 0.000 s",
            ],
        )
        self.assertNotIn("secret", str(self.told))
        self.assertNotIn("5ec2e7", str(self.told))
        (event, *_) = (event for event in self.told if event["log_namespace"] == "difyd.callback.callbacks.Callbacks")
        self.assertEqual((event["trace"], event["tenant"], event["user"]), ("a" * 32, "tenant-1", "user-1"))

    def test_defect(self) -> None:
        """A defect of ours is logged, and the plugin does not wait for ever."""
        self.data.failure = ZeroDivisionError()  # type: ignore[assignment]
        self.invoke("storage", {"opt": "get", "key": "k"})
        self.assertEqual(self.channel.events, [("error", "internal error of the plugin daemon"), ("end", "")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_defect_of_the_channel(self) -> None:
        """Nor does one of a channel keep a place for ever."""
        self.callbacks = self.make(per_plugin=1)
        self.channel.full = True
        self.invoke("storage", {"opt": "exist", "key": "k"})
        for _ in range(2):  # before the answer, which fails with it, and after
            self.channel.waiting.pop().errback(ZeroDivisionError())
        self.assertEqual((len(self.callbacks), len(self.flushLoggedErrors(ZeroDivisionError))), (0, 2))


class TraceTests(SynchronousTestCase):
    def test_traces(self) -> None:
        """The trace of the call goes on; one that is none, or missing, is replaced by the session's own."""
        given = "00-" + "a" * 32 + "-" + "b" * 16 + "-00"
        self.assertEqual(traceparent(call(traceparent=given)), given[:-1] + "1")
        for none in ("", "00-x", given.upper(), "01" + given[2:], f"{given}\r\nX: y"):
            caller = call(traceparent=none)
            self.assertRegex(traceparent(caller), "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
            self.assertEqual(traceparent(caller), traceparent(caller))
