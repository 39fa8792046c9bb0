"""What a line of a registration says."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.debug.messages import (
    DECLARATIONS,
    INVALID,
    Chunk,
    Declared,
    End,
    Handshake,
    Message,
    Refusal,
    Unknown,
    last_words,
    messages_of,
)


class MessagesTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Each type has its message; what is in a declaration or a chunk stays the bytes that came."""
        cases: list[tuple[bytes, Message]] = [
            (b'{"type":"handshake","data":{"key":"k","more":1}}', Handshake("k")),
            (b'{"type":"hand_shake","data":{"key":"k"}}', Handshake("k")),
            (b'{"type":"tool_declaration","data":[ 1.0 ]}', Declared(DECLARATIONS["tool_declaration"], b"[ 1.0 ]")),
            (b'{"type":"asset_chunk","data":5}', Chunk(b"5")),
            (b'{"type":"end","data":null}', End()),
            (b'{"type":"capability","data":{},"sequence":1}', Unknown()),
        ]
        for line, expected in cases:
            self.assertEqual(messages_of(line), [expected])

    def test_passing(self) -> None:
        """Heartbeats and logs of a thread that does not know of the reconnect are no messages, also without what they should carry."""
        for line in (b'{"event":"heartbeat","session_id":null,"data":{}}', b'{"event":"log"}', b"  "):
            self.assertEqual(messages_of(line), [])

    def test_glued(self) -> None:
        """Several objects on one line are told apart."""
        line = b'{"type":"end","data":{}}{"event":"heartbeat","data":{}} {"type":"x","data":1}'
        self.assertEqual(messages_of(line), [End(), Unknown()])

    def test_none(self) -> None:
        """What is no registration message, or a handshake without a key, is refused in the same words."""
        lines = [
            b"garbage", b"{", b"[]", b"1", b"null", b'"t"', b'{"type":"end"}', b'{"data":{}}', b'{"type":"","data":1}', b'{"type":5,"data":1}',
            b"GET / HTTP/1.1", b"\xff\xfe\x00", b'{"type":"end","data":{}}garbage', b'{"event":"session","data":{}}', b"[" * 5000,
            *(b'{"type":"handshake","data":%b}' % data for data in (b"{}", b"[]", b'"key"', b'{"key":""}', b'{"key":null}', b'{"key":5}')),
        ]  # fmt: skip
        for line in lines:
            with self.assertRaises(Refusal) as caught:
                messages_of(line)
            self.assertEqual(str(caught.exception), INVALID, line)

    def test_broken_text(self) -> None:
        """Bytes that are no UTF-8 do not make a message unreadable: they are replaced."""
        (found,) = messages_of(b'{"type":"tool_declaration","data":["\xff"]}')
        self.assertEqual(found, Declared(DECLARATIONS["tool_declaration"], '["\ufffd"]'.encode()))

    @given(st.binary(max_size=200))
    def test_any_bytes(self, line: bytes) -> None:
        """Whatever comes is a list of messages or a refusal."""
        try:
            messages_of(line)
        except Refusal as why:
            self.assertEqual(str(why), INVALID)

    @given(
        st.lists(st.dictionaries(st.sampled_from(["type", "data", "event"]), st.sampled_from(["end", "handshake", "heartbeat", 5, None, {}])))
    )
    def test_any_objects(self, objects: list[dict[str, object]]) -> None:
        """The same for what has the right members with any values."""
        with contextlib.suppress(Refusal):
            messages_of("".join(map(json.dumps, objects)).encode())


class LastWordsTests(SynchronousTestCase):
    def test_one_line(self) -> None:
        """A refusal is one line however many rules were broken, and bounded."""
        self.assertEqual(last_words(Refusal("a:\n  b\r\n\nc")), b"a:; b; c")
        self.assertEqual(len(last_words(Refusal("é" * 5000)).decode()), 4096)
        self.assertEqual(last_words(Refusal("lone \ud800, red \x1b[31m, “ü”")), r"lone \ud800, red \x1b[31m, “ü”".encode())
