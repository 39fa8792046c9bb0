"""One connection from outside: what a developer types, and what comes back."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol
from zope.interface.verify import verifyObject

from difyd.errors import ConnectionClosed, DaemonError, WriteFailed
from difyd.runtime.debug.connection import GREETING
from difyd.runtime.debug.interfaces import ILink
from difyd.runtime.interfaces import IChannel
from difyd.runtime.sessions import IPluginListener
from tests.runtime.debug.house import HEARTBEAT, OTHER, TENANT, DebugHouse, chunk, encoded, manifest, message, registration, tool

INVALID = "handshake failed, invalid handshake message\n"
KNOWN = ("handshake", {"key": "key-1"})


def answer(session: str, kind: str, data: Any = None) -> dict[str, Any]:
    return {"event": "session", "session_id": session, "data": {"type": kind, "data": data}}


class RegistrationTests(DebugHouse):
    def test_interfaces(self) -> None:
        """A connection plays its three roles."""
        connection = self.connect().connection
        for role in (ILink, IPluginListener):
            self.assertTrue(verifyObject(role, connection))
        self.assertIsInstance(connection, Protocol)

    def test_silence_is_success(self) -> None:
        """A plugin that registers is shown, can be called, and hears nothing."""
        developer = self.connect().register()
        developer.say(HEARTBEAT)
        self.assertEqual([event[0] for event in self.events], ["callable", "shown"])
        self.assertEqual((developer.told, developer.closed), ("", False))
        self.assertEqual(list(self.host.icons.values()), [b"<svg/>"])

    def test_any_cut(self) -> None:
        """Wherever the stream is cut, and whatever ends a line."""
        for size in (1, 7, 100, 1000, 100_000):
            developer = self.connect().send(b" \r\n".join(json.dumps(said).encode() for said in registration(name=f"cut{size}")) + b"\n", size)
            self.turn()
            self.assertEqual((developer.told, self.events[-1][0]), ("", "shown"), size)

    def test_glued(self) -> None:
        """A registration on one line is taken message by message, and waits where it has to."""
        self.connect().send(b"".join(json.dumps(said).encode() for said in registration()) + b"\n")
        self.turn()
        self.assertEqual(self.events[-1][0], "shown")

    def test_heartbeats_between(self) -> None:
        """Heartbeats and logs between the messages are skipped, before the handshake as well."""
        for place in range(5):
            messages = registration(name=f"plugin{place}")
            messages[place:place] = [HEARTBEAT, {"event": "log", "data": {"level": "INFO", "message": "m"}}]
            self.connect().say(*messages)
            self.turn()
            self.assertEqual(self.events[-1][0], "shown")

    def test_strangers(self) -> None:
        """Before a handshake nothing is accepted, and nothing kept."""
        for said in (
            message("manifest_declaration", manifest()),
            chunk(),
            message("end", {}),
            message("x", 1),
            {"type": "auth", "api_key": "k"},
            "hello",
        ):
            developer = self.connect().say(said)
            self.assertEqual((developer.told, developer.cable.half_closed), (INVALID, True))
        self.assertEqual(self.connect().send(b"x" * GREETING).told, INVALID)

    def test_keys(self) -> None:
        """A key is somebody's, or nobody's, or cannot be looked up."""
        self.assertEqual(self.connect().say(message("handshake", {"key": "KEY-1"})).told, "handshake failed, invalid key\n")
        self.keys.trouble = "no route to host"
        self.assertEqual(self.connect().say(message(*KNOWN)).told, "failed to get connection info: no route to host\n")

    def test_refusals(self) -> None:
        """Each mistake after the handshake has its line."""
        cases: list[tuple[list[Any], str]] = [
            ([message(*KNOWN)], "handshake already completed\n"),
            ([5], INVALID),
            ([message("tool_declaration", [tool()]), message("tool_declaration", [])], "tools declaration already registered\n"),
            ([chunk(data="YQ")], "assets decode failed, error: icon.svg: Incorrect padding\n"),
            ([message("end", {})], "no registration transferred, cannot initialize\n"),
        ]
        for said, line in cases:
            self.assertEqual(self.connect().say(message(*KNOWN), *said).told, line)

    def test_nothing_after_an_error(self) -> None:
        """What came with a mistake, and what comes after it, does not count."""
        messages = registration()
        messages.insert(2, message("tool_declaration", [5]))
        developer = self.connect().say(*messages)
        developer.say(*registration())
        self.turn()
        self.assertEqual(self.events, [])
        self.assertEqual(developer.told.count("\n"), 1)

    def test_last_words_are_delivered(self) -> None:
        """Our side ends, what comes is thrown away for two seconds; then a peer that does not close is cut off."""
        developer = self.connect().say("garbage")
        developer.send(b"x" * 100_000)
        self.clock.advance(1.9)
        self.assertEqual(
            (developer.cable.half_closed, developer.cable.disconnecting, developer.cable.producerState), (True, False, "producing")
        )
        self.clock.advance(0.2)
        self.assertTrue(developer.cable.disconnected)
        developer.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endless_line(self) -> None:
        """A line without end is refused at 64 MiB."""
        developer = self.connect().say(message(*KNOWN))
        for _ in range(64):
            developer.send(b" " * (1 << 20))
        self.assertEqual(developer.told, "message too large, at most 64MB\n")

    def test_memory_of_all(self) -> None:
        """What all connections together have handed in is bounded: the one that goes too far is turned away."""
        patient = self.connect().say(message(*KNOWN), message("manifest_declaration", manifest()))
        greedy = [self.connect().say(message(*KNOWN)) for _ in range(2)]
        for developer in greedy:
            developer.send(b" " * (40 << 20))
        self.assertEqual([developer.told for developer in (patient, *greedy)], ["", "", "server is busy now, please try again later\n"])

    def test_memory_of_declarations(self) -> None:
        """A declaration counts from the moment in which it has come, not only when it has been looked at: many may wait for that."""
        developer = self.connect().say(message(*KNOWN))
        large = encoded(message("manifest_declaration", manifest(privacy="x" * (9 << 20))))
        developer.connection.dataReceived(large)  # no further turn of the reactor
        self.assertEqual(developer.told, "server is busy now, please try again later\n")

    def test_internal_error(self) -> None:
        """A bug of ours does not leave the developer without a word."""
        self.host.trouble = RuntimeError("bug")  # type: ignore[assignment]
        self.assertEqual(self.connect().register().told, "failed to install debugging plugin: internal server error\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_late_failure(self) -> None:
        """What the store refuses is told to the developer."""
        self.host.trouble = DaemonError("database is locked")
        self.assertEqual(self.connect().register().told, "failed to install debugging plugin: database is locked\n")
        self.assertEqual(self.events[-1][0], "not callable")


class DeadlineTests(DebugHouse):
    def test_half_open(self) -> None:
        """A thousand connections that say a byte a second are closed after ten, without a word, and hold next to nothing."""
        self.visitors._most = 2000
        developers = [self.connect() for _ in range(1000)]
        for second in range(9):
            for developer in developers:
                developer.connection.dataReceived(b'{"type":"handshake"'[second : second + 1])
            self.clock.advance(1)
        self.assertEqual({developer.closed for developer in developers}, {False})
        self.clock.advance(1.1)
        self.assertEqual({developer.cable.disconnecting for developer in developers}, {True})
        self.assertEqual({developer.told for developer in developers}, {""})
        self.assertEqual(len(self.visitors), 0)

    def test_silent_registration(self) -> None:
        """After a minute without a byte; bytes put it off, up to a quarter of an hour."""
        silent, slow = self.connect().say(message(*KNOWN)), self.connect().say(message(*KNOWN))
        for _ in range(15):
            self.clock.advance(55)
            slow.send(b" ")
        self.assertEqual((silent.cable.disconnecting, slow.cable.disconnecting), (True, False))
        self.clock.advance(76)
        self.assertTrue(slow.cable.disconnecting)

    def test_silent_plugin(self) -> None:
        """A plugin lives as long as it says anything; then it is gone within a minute, without a word."""
        developer = self.connect().register()
        for said in (encoded(HEARTBEAT), b"print\n", b"{"):
            self.clock.advance(59)
            developer.send(said)
        self.assertFalse(developer.closed)
        self.clock.advance(61)
        self.assertEqual((developer.cable.disconnecting, developer.told), (True, ""))
        self.turn()
        self.assertEqual(self.supervisor.runtimes.keys(), {(TENANT, "acme/weather")})
        self.clock.advance(1)
        self.assertEqual(self.supervisor.runtimes, {})

    def test_no_deadline_while_we_are_asked(self) -> None:
        """The time that we take does not count against the plugin."""
        self.host.held = []
        developer = self.connect().register()
        self.clock.advance(600)
        self.host.go_on()
        self.turn()
        self.assertFalse(developer.closed)

    def test_closing_is_bounded(self) -> None:
        """A peer that takes nothing any more is cut off five seconds later."""
        developer = self.connect().register()
        developer.connection.close()
        self.assertFalse(developer.cable.disconnected)
        self.clock.advance(5.1)
        self.assertTrue(developer.cable.disconnected)

    def test_timers_die(self) -> None:
        """Nothing is left of a connection that is lost at any time."""
        for messages in range(6):
            developer = self.connect().say(*registration(name=f"plugin{messages}")[:messages])
            developer.leave()
            self.turn()
        self.clock.advance(1)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.visitors), self.host.rows), ([], 0, {}))


class CallTests(DebugHouse):
    def setUp(self) -> None:
        super().setUp()
        self.developer = self.connect().register()

    def test_call(self) -> None:
        """The request goes out as it is, the answer comes back, and nothing after the close."""
        heard, opening = self.call()
        channel = self.successResultOf(opening)
        self.assertTrue(verifyObject(IChannel, channel))
        self.assertEqual(self.developer.told, '{"session_id":"s"}\n')
        self.developer.say(answer("s", "stream", 1), answer("other", "stream", 2), answer("s", "invoke", {"type": "x"}), answer("s", "end"))
        self.assertEqual(heard.events, [("stream", 1), ("invoke", {"type": "x"}), ("end", None), ("flush", None)])
        channel.close()
        channel.close()
        self.developer.say(answer("s", "stream", 3))
        self.assertEqual(len(heard.events), 4)

    def test_answers_to_calls_back(self) -> None:
        """Further lines go out after the request; there is room while the plugin reads."""
        channel = self.successResultOf(self.call()[1])
        channel.send(b'{"answer":1}\n')
        self.successResultOf(channel.room())
        self.assertEqual(self.developer.told, '{"session_id":"s"}\n{"answer":1}\n')

    def test_noise(self) -> None:
        """What is no answer disturbs nothing: late registrations, other objects, garbage, over-long lines."""
        heard, _ = self.call()
        for noise in (*registration(), {"event": "log"}, {"event": "error", "data": "x"}, [], 5):
            self.developer.say(noise)
        self.developer.send(b"garbage\n\xff\xfe\n" + b"x" * (64 << 20) + b"\n")
        self.developer.say(answer("s", "stream", 1))
        self.assertEqual(heard.events, [("stream", 1), ("flush", None)])
        self.assertFalse(self.developer.closed)

    def test_disconnect(self) -> None:
        """The calls of a connection fail with its end, at once, after what the plugin had said; those of others do not."""
        other = self.connect().register(key="key-2")
        (heard, _), (stranger, _) = self.call(), self.call(tenant=OTHER)
        self.developer.send(encoded(answer("s", "stream", 1)) + encoded(answer("s", "stream", 2)).rstrip())
        self.developer.leave()
        self.assertEqual(heard.events, [("stream", 1), ("flush", None), ("stream", 2), ("flush", None), ("broken", ConnectionClosed)])
        self.assertEqual((stranger.events, other.closed), ([], False))

    def test_channel_after_the_end(self) -> None:
        """Whoever still holds a channel of a connection that is gone does no harm, and does not wait for ever."""
        channel = self.successResultOf(self.call()[1])
        self.developer.connection._outbox.pauseProducing()
        waiting = channel.room()
        self.developer.leave()
        self.successResultOf(waiting)
        channel.send(b"late\n")
        channel.close()
        self.assertEqual(self.developer.told, '{"session_id":"s"}\n')

    def test_plugin_that_does_not_read(self) -> None:
        """More than may wait for it ends its connection, and with it its calls."""
        heard, opening = self.call()
        channel = self.successResultOf(opening)
        self.developer.connection._outbox.pauseProducing()
        channel.send(b"x" * 999 + b"\n")
        self.assertFalse(self.developer.cable.disconnecting)
        channel.send(b"y\n")
        self.assertTrue(self.developer.cable.disconnecting)
        self.assertEqual(heard.events, [("broken", ConnectionClosed)])

    def test_back_within_a_moment(self) -> None:
        """While a plugin is expected back calls wait for it; what was shown stays."""
        self.clock.advance(1)
        self.developer.leave()
        heard, opening = self.call(session="waiting")
        self.assertNoResult(opening)
        again = self.connect().register()
        self.successResultOf(opening)
        self.assertEqual(again.told, '{"session_id":"waiting"}\n')
        self.clock.advance(10)
        self.assertEqual([event[0] for event in self.events], ["callable", "shown"])
        self.assertEqual(heard.events, [])

    def test_not_back(self) -> None:
        """Calls that waited in vain fail with the reason, and everything is taken back."""
        self.clock.advance(1)
        self.developer.leave()
        _, opening = self.call()
        _, cancelled = self.call()
        cancelled.cancel()
        self.failureResultOf(cancelled)
        self.clock.advance(0.6)
        self.assertIn("disconnected", str(self.failureResultOf(opening, WriteFailed).value))
        self.assertEqual([event[0] for event in self.events], ["callable", "shown", "not callable", "taken back"])

    def test_superseded(self) -> None:
        """A newer connection takes over at once; the calls of the older one have a second to end."""
        (heard, opening), newer = self.call(), self.connect().register()
        channel = self.successResultOf(opening)
        self.assertFalse(self.developer.closed)
        self.call(session="next")
        self.assertEqual(newer.told, '{"session_id":"next"}\n')
        self.developer.say(answer("s", "stream", 1), answer("s", "end"))
        channel.close()
        self.assertTrue(self.developer.cable.disconnecting)
        self.assertEqual(heard.events, [("stream", 1), ("end", None), ("flush", None)])

    def test_superseded_and_stuck(self) -> None:
        """A call that does not end within it fails; the older connection hears no word."""
        heard, _ = self.call()
        self.connect().register(version="0.0.2")
        self.clock.advance(1.1)
        self.assertEqual((heard.events, self.developer.told), ([("broken", ConnectionClosed)], '{"session_id":"s"}\n'))
        self.developer.leave()
        self.clock.advance(1)
        self.assertEqual(
            [event[::2] for event in self.events],
            [("callable", "acme/weather:0.0.1@"), ("shown", "acme/weather:0.0.1@"), ("not callable", "acme/weather:0.0.1@"),
             ("callable", "acme/weather:0.0.2@"), ("shown", "acme/weather:0.0.2@")],
        )  # fmt: skip

    def test_idle_and_superseded(self) -> None:
        """Without calls the older one closes at once."""
        self.connect().register()
        self.assertTrue(self.developer.cable.disconnecting)


PIECES = [encoded(said) for said in (*registration(), HEARTBEAT, answer("s", "stream", {}), answer("s", "end"), 5, {"type": "x", "data": 1})]

LONGEST = max(4000, *map(len, PIECES))


class AnyBytesTests(DebugHouse):
    """Whatever comes, in whatever pieces: nothing is raised, and no more is held than was promised."""

    def feed(self, pieces: list[bytes]) -> None:
        self.setUp()
        self.keys.held = []
        developer = self.connect()
        for piece in pieces:
            while developer.cable.producerState == "paused":  # as a transport does: nothing arrives then
                while self.keys.held:
                    self.keys.held.pop().callback(None)
                self.clock.advance(0)
                self.check(developer.connection, piece)
            developer.connection.dataReceived(piece)
            self.check(developer.connection, piece)
        developer.leave()
        self.clock.pump([0.2] * 40)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def check(self, connection: Any, read: bytes) -> None:
        """A stranger holds less than a greeting of a line, and what one read has brought while its key is looked up; the dead hold nothing."""
        if not connection._who.get("tenant"):
            self.assertLess(connection._framing.held, GREETING)
            self.assertLessEqual(len(connection._unread), LONGEST)
        if connection.gone:
            self.assertEqual((connection._framing.held, connection._unread, len(connection._said)), (0, b"", 0))

    @settings(deadline=None)
    @given(st.lists(st.one_of(st.binary(max_size=100), st.sampled_from(PIECES)), min_size=1, max_size=30))
    def test_pieces(self, pieces: list[bytes]) -> None:
        """Messages of a registration and bytes that are none, in any order."""
        self.feed(pieces)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.integers(1, 400), min_size=1, max_size=50), st.integers(0, 2000), st.binary(max_size=3))
    def test_cuts(self, sizes: list[int], place: int, damage: bytes) -> None:
        """A registration cut anywhere, with damage anywhere."""
        stream = b"".join(PIECES)
        stream = stream[:place] + damage + stream[place + len(damage) :]
        pieces, at = [], 0
        for size in sizes:
            pieces.append(stream[at : at + size] or b"\n")
            at += size
        self.feed([*pieces, stream[at:] or b"\n"])
