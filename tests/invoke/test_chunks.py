"""What is done to the chunks of a plugin."""

import json
from base64 import b64decode, b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import MalformedChunk, PluginInvokeError
from difyd.invoke.actions import ACTIONS, Answer
from difyd.invoke.blobs import OPEN_LIMIT, BlobAssembler
from difyd.invoke.chunks import llm, message

BY_PATH = {action.path: action for action in ACTIONS}
MESSAGE = {"role": "assistant", "content": "x", "tool_calls": []}
DELTA = {"index": 0, "message": MESSAGE, "usage": None, "finish_reason": None}
LLM = {"model": "m", "prompt_messages": [], "system_fingerprint": None, "delta": DELTA}


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


class TableTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """34 streamed actions and 2 polled ones, each with a path and a name of its own."""
        self.assertEqual(sum(action.answer is Answer.LAST for action in ACTIONS), 2)
        self.assertEqual((len(ACTIONS), len(BY_PATH), len({action.name for action in ACTIONS})), (36, 36, 36))


class MessageTests(SynchronousTestCase):
    def test_untouched(self) -> None:
        """A whole chunk is passed on as the very object, unknown members included."""
        chunk = Raw(b'{"type":"json","message":{"json_object":{"n":1.0}},"meta":null,"newer":[1]}')
        self.assertIs(message(chunk), chunk)

    def test_filled_in(self) -> None:
        """Absent `message` and `meta` become null."""
        self.assertEqual(
            json.loads(bytes(message(raw({"type": "text", "newer": 1})))), {"type": "text", "message": None, "meta": None, "newer": 1}
        )

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.dictionaries(st.sampled_from(["type", "message", "meta", "x"]), inner),
        )
    )
    def test_any_json(self, value: object) -> None:
        """Any JSON is a message or MalformedChunk."""
        try:
            self.assertEqual(json.loads(bytes(message(raw(value)))).get("type"), value.get("type") if isinstance(value, dict) else None)
        except MalformedChunk as why:
            self.assertTrue(why.message.startswith("unmarshal json failed: "))


class LLMTests(SynchronousTestCase):
    def changed(self, **delta: Any) -> Any:
        return json.loads(bytes(llm(raw({**LLM, "delta": {**DELTA, **delta}}))))

    def test_untouched(self) -> None:
        """A chunk without prompt is passed on as the very object."""
        chunk = raw(LLM)
        self.assertIs(llm(chunk), chunk)

    def test_prompt_is_not_echoed(self) -> None:
        """The prompt is dropped, the rest is kept, digit for digit."""
        chunk = Raw(json.dumps({**LLM, "prompt_messages": [{"role": "user"}], "n": 0}).replace('"n": 0', '"n":1.50').encode())
        out = bytes(llm(chunk))
        self.assertEqual(json.loads(out)["prompt_messages"], [])
        self.assertIn(b'"n":1.50', out)

    def test_tool_calls_are_a_list(self) -> None:
        """Clients cannot read null where they want a list."""
        for calls in ({"tool_calls": None}, {}):
            out = self.changed(message={"role": "assistant", "content": "x", **calls})
            self.assertEqual(out["delta"]["message"], {"role": "assistant", "content": "x", "tool_calls": []})

    def test_prices(self) -> None:
        """Prices are decimals in either form, never NaN."""
        usage = {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "total_tokens": 2,
            "currency": "USD",
            "latency": 1,
            "total_price": "1E-7",
            "prompt_price": 3,
        }
        self.assertEqual(self.changed(usage=usage)["delta"]["usage"], usage)
        for price in ("NaN", "Infinity", "cheap", True, []):
            with self.assertRaises(MalformedChunk):
                self.changed(usage={**usage, "total_price": price})


class ResultTests(SynchronousTestCase):
    def check(self, path: str, chunk: object) -> Any:
        return json.loads(bytes(BY_PATH[path].check(raw(chunk))))

    def test_absent_members(self) -> None:
        """What a client cannot do without is filled in."""
        self.assertEqual(self.check("moderation/invoke", {}), {"result": False})
        self.assertEqual(
            self.check("oauth/refresh_credentials", {"credentials": {"t": 1}, "expires_at": None}), {"credentials": {"t": 1}, "expires_at": -1}
        )
        self.assertEqual(self.check("tts/invoke", {"result": "00"}), {"result": "00"})

    def test_polling(self) -> None:
        """Empty members are left out, but a written `result` of null stays."""
        got = self.check(
            "model/polling/start", {"status": "running", "plugin_state": {"a": 1}, "result": None, "error": "", "max_attempts": None}
        )
        self.assertEqual(got, {"status": "running", "plugin_state": {"a": 1}, "result": None})
        for bad in ({"status": "running", "plugin_state": {}}, {"status": "succeeded", "result": None}, {"status": "failed", "error": " "}, {}):
            with self.assertRaises(MalformedChunk):
                self.check("model/polling/check", bad)


def cut(name: str, data: bytes, size: int = 8192) -> list[dict[str, Any]]:
    pieces = [data[n : n + size] for n in range(0, len(data), size)] + [b""]
    return [{"type": "blob_chunk", "meta": {"mime_type": "a/b"}, "message": {
        "id": name, "sequence": n, "total_length": len(data), "blob": b64encode(piece).decode(), "end": n == len(pieces) - 1}}
        for n, piece in enumerate(pieces)]  # fmt: skip


class ModelSchemaTests(SynchronousTestCase):
    """http-api 8.7."""

    schema = {"model": "m", "label": {"en_US": ""}, "model_type": "llm", "model_properties": {"mode": "chat"}}

    def check(self, schema: object) -> Any:
        return json.loads(bytes(BY_PATH["model/schema"].check(raw({"model_schema": schema, "newer": 1}))))

    def test_defaults(self) -> None:
        """A short schema gets the defaults of a declaration; members beside it stay."""
        told = self.check(self.schema)
        self.assertEqual((told["newer"], told["model_schema"]["label"]), (1, {"en_US": "m"}))
        self.assertEqual((told["model_schema"]["fetch_from"], told["model_schema"]["parameter_rules"]), ("predefined-model", []))

    def test_none(self) -> None:
        """A provider may not know the model."""
        self.assertEqual(self.check(None), {"model_schema": None, "newer": 1})

    def test_nameless(self) -> None:
        """A schema that does not say which model it is about, in words that Dify knows, is none."""
        for change in ({"model": ""}, {"model": "m" * 256}, {"model_type": "oracle"}, {"model_type": None}, {"fetch_from": "somewhere"}):
            self.assertRaises(MalformedChunk, self.check, {**self.schema, **change})


class BlobTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.blobs = BlobAssembler(100_000)

    def send(self, *chunks: dict[str, Any]) -> list[Any]:
        return [json.loads(bytes(out)) for chunk in chunks if (out := self.blobs.chunk(raw(chunk))) is not None]

    @given(st.lists(st.binary(max_size=20_000), min_size=1, max_size=3), st.randoms())
    def test_interleaved(self, files: list[bytes], random: Any) -> None:
        """Files arrive whole however their pieces are mixed."""
        self.blobs = BlobAssembler(100_000)
        queues = [cut(str(n), data, 100) for n, data in enumerate(files)]
        mixed = []
        while any(queues):
            mixed.append(random.choice([queue for queue in queues if queue]).pop(0))
        got = self.send(*mixed)
        self.assertEqual(sorted(b64decode(blob["message"]["blob"]) for blob in got), sorted(files))
        self.assertTrue(all(blob["type"] == "blob" and blob["meta"] == {"mime_type": "a/b"} for blob in got))

    def test_bytes_in_the_last_piece(self) -> None:
        """The last piece may carry bytes."""
        *pieces, last = cut("a", b"1" * 10)
        last["message"]["blob"] = b64encode(b"tail").decode()
        self.assertEqual([b64decode(blob["message"]["blob"]) for blob in self.send(*pieces, last)], [b"1" * 10 + b"tail"])

    def test_limits(self) -> None:
        """Pieces and files have limits, and so have files begun; each is a readable error."""
        endless = cut("a", b"1" * 200_000)[:-1]
        many = [cut(str(n), b"x")[0] for n in range(OPEN_LIMIT + 1)]
        for chunks, text in (
            (cut("a", b"1" * 9000, 8193), "single file chunk is too large"),
            (endless, "file is too large"),
            (many, "too many files"),
        ):
            self.blobs = BlobAssembler(100_000)
            with self.assertRaises(PluginInvokeError) as caught:
                self.send(*chunks)
            self.assertIn(text, json.loads(caught.exception.to_json())["message"])

    def test_no_base64(self) -> None:
        """A piece that is no base64 ends the call."""
        (piece, _) = cut("a", b"123")
        piece["message"]["blob"] = "?"
        with self.assertRaises(PluginInvokeError):
            self.send(piece)

    def test_incomplete_piece(self) -> None:
        """A piece without its members is dropped; messages that only speak of pieces pass."""
        text = {"type": "text", "message": {"text": "blob_chunk"}, "meta": None}
        self.assertEqual(self.send({"type": "blob_chunk", "message": {"id": "a"}, "meta": None}, text), [text])
