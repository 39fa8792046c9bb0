"""What a plugin writes, line by line."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import MalformedLine
from difyd.wire.events import EMPTY, PluginEvent, SessionMessage, Text, Unusable, decode_event, from_alias, salvage, session_of

MESSAGE = b'{"event":"session","session_id":"s","data":{"type":"stream","data":{"n":1.0,"big":12345678901234567891}}}'


class DecodeTests(SynchronousTestCase):
    def test_payload_is_untouched(self) -> None:
        """The data of a message stays the bytes that the plugin wrote, digit for digit."""
        event = decode_event(MESSAGE)
        assert event.data is not None
        self.assertEqual((event.event, event.session_id, event.data.type), ("session", "s", "stream"))
        self.assertEqual(bytes(event.data.data), b'{"n":1.0,"big":12345678901234567891}')

    def test_unknown_members(self) -> None:
        """Members that we do not know are no error; neither are a manifest and a heartbeat with odd data."""
        self.assertEqual(decode_event(b'{"event":"heartbeat","session_id":"","data":null,"more":1}').event, "heartbeat")
        self.assertEqual(decode_event(b'{"version":"1","type":"plugin","plugins":{}}'), PluginEvent())

    @given(st.binary(max_size=60))
    def test_any_bytes(self, line: bytes) -> None:
        """Any bytes are an event or MalformedLine, never another error, and never fail to be salvaged."""
        try:
            decode_event(line)
        except MalformedLine:
            list(salvage(line))

    def test_deep_nesting(self) -> None:
        """Nesting beyond reason is a malformed line."""
        with self.assertRaises(MalformedLine):
            decode_event(b'{"event":"session","session_id":"s","data":{"type":"stream","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}}")


class SalvageTests(SynchronousTestCase):
    def found(self, line: bytes) -> list[object]:
        return [one[0].event if isinstance(one, tuple) else one for one in salvage(line)]

    def test_stray_output(self) -> None:
        """A message after text on its line is found."""
        for stray in (b"x", b"progress: 50 %", b'{"half":', b"[1, 2]", b'"'):
            self.assertEqual(self.found(stray + MESSAGE), [Text(stray), "session"])

    def test_two_on_a_line(self) -> None:
        """Two objects on one line are two messages."""
        self.assertEqual(self.found(MESSAGE + MESSAGE + b" tail"), ["session", "session", Text(b"tail")])

    def test_lone_surrogate(self) -> None:
        """Half a surrogate pair costs its message nothing but that character."""
        ((event, _),) = salvage(b'{"event":"session","session_id":"s","data":{"type":"stream","data":{"a":"x\\ud800"}}}')
        assert isinstance(event, PluginEvent)
        assert event.data is not None
        self.assertEqual(json.loads(bytes(event.data.data)), {"a": "x\ufffd"})

    def test_lone_surrogate_in_any_order(self) -> None:
        """Whatever the order of its members, and in the older dialect."""
        for line in (
            b'{"data":{"type":"stream","data":{"a":"\\udc00"}},"session_id":"s","event":"session"}',
            b'{"type":"response","status":"error","session_id":"s","error":"\\ud800"}',
        ):
            ((_, text),) = salvage(line)
            self.assertIn(b"\\ufffd", text)

    def test_broken_message(self) -> None:
        """A message that cannot be read is told with its session, so that it is not taken for never sent; others on its line are found."""
        deep = MESSAGE.replace(b"1.0", b"[" * 5000 + b"]" * 5000)
        for broken in (MESSAGE[:-9], MESSAGE.replace(b'"n"', b'"\x01"'), deep, MESSAGE.replace(b'"event":"session",', b"")[:-1]):
            stray, found, event = salvage(b"x" + broken + MESSAGE)
            self.assertEqual(stray, Text(b"x"))
            assert isinstance(found, Unusable)
            self.assertEqual(found.session_id, "s")
            self.assertNotIn("1234567890", found.reason)
            assert isinstance(event, tuple)

    def test_no_number(self) -> None:
        """NaN cannot be passed on; its session is told apart from others."""
        (found,) = salvage(MESSAGE.replace(b"1.0", b"NaN"))
        assert isinstance(found, Unusable)
        self.assertEqual(found.session_id, "s")

    def test_odd_data(self) -> None:
        """An event whose data is of the wrong type comes without data."""
        self.assertEqual([event for event, _ in salvage(b'{"event":"error","data":"text"}')], [PluginEvent("error")])
        self.assertEqual([event for event, _ in salvage(b'{"event":"session","session_id":7,"data":5}')], [PluginEvent("session")])

    def test_bounded(self) -> None:
        """A line of nothing but beginnings does not keep the reactor busy: the rest of it is text."""
        *_, last = salvage(b'{"event":' * 100_000)
        self.assertIsInstance(last, Text)

    def test_session_of_a_head(self) -> None:
        """The session is known from the beginning of a line."""
        self.assertEqual(session_of(MESSAGE[:50]), "s")
        self.assertIsNone(session_of(b"xxxx"))


class AliasTests(SynchronousTestCase):
    def test_response(self) -> None:
        """A response of the older sketch is a chunk and an end, or an error."""
        chunk, end = from_alias(b'{"type":"response","session_id":"s","status":"success","data":{"a":1}}')
        assert chunk.data is not None
        self.assertEqual((chunk.session_id, chunk.data.type, bytes(chunk.data.data)), ("s", "stream", b'{"a":1}'))
        self.assertEqual(end, PluginEvent("session", "s", SessionMessage("end", EMPTY)))
        (error,) = from_alias(b'{"type":"response","session_id":"s","status":"error","error":{"type":"E","message":"m","code":3}}')
        assert error.data is not None
        self.assertEqual(json.loads(bytes(error.data.data)), {"error_type": "E", "message": "m", "args": {"code": 3}})

    def test_no_alias(self) -> None:
        """A manifest, an unknown type, a piece without session: nothing."""
        for line in (b'{"type":"plugin"}', b'{"type":"response","status":"success"}', b'{"type":5,"session_id":"s"}', b"{}", b"[]", b"x"):
            self.assertEqual(from_alias(line), [])
        self.assertEqual(from_alias(b'{"type":"heartbeat_ack"}'), [PluginEvent("heartbeat")])
