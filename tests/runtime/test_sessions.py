"""The way of a plugin's lines to the sessions of its channel."""

import json

from attrs import define, field
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from difyd.errors import ConnectionClosed, PluginInvokeError
from difyd.runtime.interfaces import ISession
from difyd.runtime.sessions import IPluginListener, OutputTooLarge, Sessions
from difyd.wire.lines import LineBuffer


@implementer(ISession)
@define(eq=False)
class Heard:
    """A session that writes down what it is told."""

    id: str
    events: list[tuple[str, object]] = field(factory=list)
    request: bytes = b""
    repeatable: bool = False

    def stream(self, data: Raw) -> None:
        self.events.append(("stream", json.loads(bytes(data))))

    def flush(self) -> None:
        self.events.append(("flush", None))

    def end(self) -> None:
        self.events.append(("end", None))

    def error(self, data: bytes) -> None:
        self.events.append(("error", json.loads(data)))

    def invoke(self, data: bytes) -> None:
        self.events.append(("invoke", json.loads(data)))

    def refuse(self, invocation: str, reason: str) -> None:
        self.events.append(("refuse", invocation))

    def unknown(self, kind: str) -> None:
        self.events.append(("unknown", kind))

    def broken(self, reason: PluginInvokeError) -> None:
        self.events.append(("broken", type(reason)))


@implementer(IPluginListener)
@define(eq=False)
class Listener:
    events: list[tuple[object, ...]] = field(factory=list)

    def heartbeat(self) -> None:
        self.events.append(("heartbeat",))

    def logged(self, level: str, message: str, timestamp: float | None) -> None:
        self.events.append(("log", level, message, timestamp))

    def complained(self, detail: str) -> None:
        self.events.append(("complaint", detail))

    def printed(self, text: bytes) -> None:
        self.events.append(("text", text))


def message(session: str, kind: str, data: object = None) -> bytes:
    return json.dumps({"event": "session", "session_id": session, "data": {"type": kind, "data": data}}).encode()


class SessionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener()
        self.sessions = Sessions(self.listener, 1000)
        self.a, self.b = Heard("a"), Heard("b")
        self.sessions.add(self.a)
        self.sessions.add(self.b)

    def test_interfaces(self) -> None:
        """The doubles promise what the real ones do."""
        verifyObject(ISession, self.a)
        verifyObject(IPluginListener, self.listener)

    def test_bug_of_ours(self) -> None:
        """A line that nobody foresaw is logged, and costs none of those that came with it."""

        @define(eq=False)
        class Odd(Heard):
            def stream(self, data: Raw) -> None:
                raise ZeroDivisionError

        self.sessions.add(Odd("c"))
        self.sessions.lines([message("c", "stream", 1), message("a", "stream", 2)])
        self.assertEqual(self.a.events, [("stream", 2), ("flush", None)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_routing(self) -> None:
        """Each session gets its own messages in order, and is flushed once for a read that fed it."""
        self.sessions.lines(
            [
                message("a", "stream", 1),
                message("b", "stream", 2),
                message("a", "stream", 3),
                message("gone", "stream", 4),
                message("b", "end", {}),
            ]
        )
        self.assertEqual(self.a.events, [("stream", 1), ("stream", 3), ("flush", None)])
        self.assertEqual(self.b.events, [("stream", 2), ("end", None), ("flush", None)])

    def test_kinds(self) -> None:
        """Errors, invocations and what nobody knows reach their session; a message without type is a complaint."""
        self.sessions.lines([message("a", kind, {"x": 1}) for kind in ("error", "invoke", "smell", "")])
        self.assertEqual(self.a.events, [("error", {"x": 1}), ("invoke", {"x": 1}), ("unknown", "smell")])
        self.sessions.lines([b'{"event":"session","session_id":"a","data":{"type":"stream"}}'])
        self.assertEqual([event[0] for event in self.listener.events], ["complaint", "complaint"])

    def test_beside_the_answers(self) -> None:
        """Heartbeats, logs, complaints and prints reach the listener; a manifest nobody."""
        self.sessions.lines(
            [
                b'{"version":"0.0.1","type":"plugin"}',
                b'{"event":"heartbeat","session_id":null,"data":{}}',
                b'{"event": "log", "data": {"level": "INFO", "message": "m", "timestamp": 1.5}}',
                b'{"event": "log", "data": {"level": 5}}',
                b'{"event": "log"}',
                b'{"event":"error","session_id":null,"data":{"error":"oops"}}',
                b"hello",
            ]
        )
        self.assertEqual([event[0] for event in self.listener.events], ["heartbeat", "log", "complaint", "complaint", "complaint", "text"])
        self.assertEqual(self.listener.events[1], ("log", "INFO", "m", 1.5))
        self.assertEqual(self.listener.events[4], ("complaint", '{"error":"oops"}'))

    def test_damaged_line(self) -> None:
        """A message after stray output arrives; one with NaN breaks its session alone."""
        self.sessions.lines([b"50 %" + message("a", "stream", 1), message("b", "stream", 7).replace(b"7", b"NaN")])
        self.assertEqual(self.a.events, [("stream", 1), ("flush", None)])
        self.assertEqual([event[0] for event in self.b.events], ["broken"])
        self.assertEqual(self.listener.events, [("text", b"50 %")])

    def test_line_too_long(self) -> None:
        """A line over the limit breaks the session that it belongs to, and no other."""
        lines = LineBuffer(1000)
        self.sessions.lines(lines.feed(message("a", "stream", "x" * 2000) + b"\n" + message("b", "stream", 1) + b"\n" + b"x" * 2000 + b"\n"))
        self.assertEqual(self.a.events, [("broken", OutputTooLarge)])
        self.assertEqual(self.b.events, [("stream", 1), ("flush", None)])
        self.assertEqual([event[0] for event in self.listener.events], ["complaint"])

    def test_invocation_too_long(self) -> None:
        """An over-long call of Dify is refused by its id, wherever that stands; its session goes on. Without an id the session breaks."""
        lines = LineBuffer(1000)
        for request in (
            {"backwards_request_id": "r", "request": "x" * 2000},
            {"request": "x" * 2000, "backwards_request_id": "r"},
            {"request": "x" * 2000},
        ):
            whole = message("a", "invoke", {"type": "storage", **request}) + b"\n"
            for n in range(0, len(whole), 700):
                self.sessions.lines(lines.feed(whole[n : n + 700]))
        self.assertEqual(self.a.events, [("refuse", "r"), ("refuse", "r"), ("broken", OutputTooLarge)])

    def test_channel_gone(self) -> None:
        """Every open session hears that its channel is gone, once."""
        self.sessions.remove(self.b)
        self.sessions.fail(ConnectionClosed())
        self.sessions.fail(ConnectionClosed())
        self.assertEqual(self.a.events, [("broken", ConnectionClosed)])
        self.assertEqual(self.b.events, [])
        self.assertEqual(len(self.sessions), 0)
