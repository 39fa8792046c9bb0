"""The answer of a plugin to a web hook."""

from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from difyd.errors import MalformedChunk
from difyd.invoke.hooks import HEAD_LIMIT, BadStatus, HookAnswer, IResponse


@implementer(IResponse)
@define
class Response:
    head: list[tuple[int, dict[str, str]]] = field(factory=list)
    body: bytes = b""

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.head.append((status, headers))

    def write(self, data: bytes) -> None:
        assert self.head, "bytes before the head"
        self.body += data


class HookAnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.response = Response()
        self.answer = HookAnswer(self.response)

    def send(self, *chunks: dict[str, Any]) -> None:
        for chunk in chunks:
            self.answer.chunk(Raw(msgspec.json.encode(chunk)))
        self.answer.flush()

    def test_head_and_pieces(self) -> None:
        """The last status before the body counts, of a header the first value; pieces follow as they come."""
        self.send({"status": 500, "headers": {"X-A": "1"}}, {"status": 203, "headers": {"x-a": "2", "X-B": "3"}})
        self.assertEqual(self.response.head, [])
        self.send({"result": b"one".hex()}, {"headers": {"X-C": "late"}}, {"result": b"two".hex()})
        self.assertEqual((self.response.head, self.response.body), ([(203, {"x-a": "1", "x-b": "3"})], b"onetwo"))

    def test_no_body(self) -> None:
        """A plugin that ends after the head, or without one, gives an empty answer."""
        self.send({"status": 404})
        self.answer.end()
        self.assertEqual((self.response.head, self.response.body), ([(404, {})], b""))

    def test_framing_is_ours(self) -> None:
        """Headers about the connection are dropped, and no header makes a second one."""
        self.send(
            {
                "status": 200,
                "headers": {"Transfer-Encoding": "chunked", "Content-Length": "3", "X-A": "1\r\nX-Evil: 2", "bad name": "x"},
                "result": "",
            }
        )
        self.assertEqual(self.response.head, [(200, {"x-a": "1  X-Evil: 2"})])

    def test_endless_head(self) -> None:
        """A plugin that sends headers and no body is stopped before they fill the memory."""
        with self.assertRaises(MalformedChunk):
            for n in range(3):
                self.send({"headers": {f"X-{n}": "x" * (HEAD_LIMIT // 2)}})
        self.assertEqual(self.response.head, [])

    def test_bad_chunks(self) -> None:
        """No hex, no status of HTTP, no object."""
        for chunk, kind in (
            ({"result": "zz"}, MalformedChunk),
            ({"status": 99}, BadStatus),
            ({"status": 1000}, BadStatus),
            ({"status": "x"}, MalformedChunk),
        ):
            with self.assertRaises(kind):
                self.send(chunk)
