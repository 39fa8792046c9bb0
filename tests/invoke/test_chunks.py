"""What is done to the chunks of a plugin."""

import json
from base64 import b64decode, b64encode
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from difyd.errors import MalformedChunk, PluginInvokeError
from difyd.invoke.actions import ACTIONS, Answer
from difyd.invoke.blobs import HELD_LIMIT, OPEN_LIMIT, PIECE_LIMIT, BlobAssembler
from difyd.invoke.chunks import embedding, llm, message
from difyd.wire.usage import LLMUsage

BY_PATH = {action.path: action for action in ACTIONS}
MESSAGE = {"role": "assistant", "content": "x", "tool_calls": []}
DELTA = {"index": 0, "message": MESSAGE, "usage": None, "finish_reason": None}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "currency": "USD", "latency": 1}
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
        """Prices become texts in plain notation, absent ones 0; the rest of the usage is kept."""
        out = self.changed(usage={**USAGE, "total_price": "1E-7", "prompt_price": 3, "completion_price": None, "time_to_first_token": 0.5})
        prices = dict.fromkeys(LLMUsage.prices, "0")
        self.assertEqual(
            out["delta"]["usage"], {**USAGE, **prices, "total_price": "0.0000001", "prompt_price": "3", "time_to_first_token": 0.5}
        )
        for price in ("NaN", "Infinity", "cheap", "", " 1", "1_0", "1e9999", True, []):
            with self.assertRaises(MalformedChunk):
                self.changed(usage={**USAGE, "total_price": price})

    def test_digits_of_prices(self) -> None:
        """No digit of a price is lost, whether it was a number or a text."""
        for price in ("0.1234567890123456789012345", "12345678901234567890.5"):
            for written in (f'"{price}"', f"{price}0"):
                chunk = Raw(json.dumps({**LLM, "delta": {**DELTA, "usage": {**USAGE, "total_price": 7.5}}}).replace("7.5", written).encode())
                self.assertEqual(json.loads(bytes(llm(chunk)))["delta"]["usage"]["total_price"], price)

    def test_plain_prices(self) -> None:
        """A usage that needs nothing is passed on as it was written."""
        chunk = raw({**LLM, "delta": {**DELTA, "usage": {**USAGE, **dict.fromkeys(LLMUsage.prices, "-0.5")}}})
        self.assertIs(llm(chunk), chunk)

    @given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
    def test_any_price(self, price: Decimal) -> None:
        """Any price keeps its value, without an exponent."""
        out = self.changed(usage={**USAGE, "total_price": str(price)})["delta"]["usage"]["total_price"]
        self.assertEqual(Decimal(out), price)
        self.assertNotIn("E", out)


class EmbeddingTests(SynchronousTestCase):
    usage = {"tokens": 1, "total_tokens": 1, "currency": "USD", "latency": 1}
    chunk = {"model": "m", "embeddings": [[0.5]], "usage": {**usage, "unit_price": "0.1", "price_unit": "0.001", "total_price": "0"}}

    def test_untouched(self) -> None:
        """Vectors with plain prices are passed on as the very object."""
        chunk = raw(self.chunk)
        self.assertIs(embedding(chunk), chunk)

    def test_prices(self) -> None:
        """Prices as in a chunk of a language model."""
        out = json.loads(bytes(embedding(raw({**self.chunk, "usage": {**self.usage, "total_price": 0.10}, "newer": 1}))))
        self.assertEqual(out["usage"], {**self.usage, "unit_price": "0", "price_unit": "0", "total_price": "0.1"})
        self.assertEqual((out["newer"], out["embeddings"]), (1, [[0.5]]))
        with self.assertRaises(MalformedChunk):
            embedding(raw({**self.chunk, "usage": {**self.usage, "total_price": "Infinity"}}))


class ResultTests(SynchronousTestCase):
    def check(self, path: str, chunk: object) -> Any:
        return json.loads(bytes(BY_PATH[path].check(raw(chunk))))

    def test_absent_members(self) -> None:
        """What a client cannot do without is filled in."""
        self.assertEqual(self.check("moderation/invoke", {}), {"result": False})
        self.assertEqual(
            self.check("oauth/refresh_credentials", {"credentials": {"t": 1}, "expires_at": None}), {"credentials": {"t": 1}, "expires_at": -1}
        )
        self.assertEqual(self.check("tts/invoke", {"result": "00", "mime_type": ""}), {"result": "00"})
        for path, name, stand_in in (
            ("tool/get_runtime_parameters", "parameters", []),
            ("dynamic_select/fetch_parameter_options", "options", []),
            ("datasource/get_online_document_pages", "result", []),
            ("datasource/get_website_crawl", "result", {}),
            ("trigger/subscribe", "subscription", {}),
        ):
            self.assertEqual((self.check(path, {}), self.check(path, {name: None})), ({name: stand_in}, {name: stand_in}))
        self.assertEqual(self.check("trigger/invoke_event", {}), {"variables": {}, "cancelled": False})
        self.assertEqual(self.check("trigger/dispatch_event", {}), {"user_id": "", "events": [], "response": ""})

    def test_polling(self) -> None:
        """Empty members are left out, but a written `result` of null stays, and so do members that we do not know."""
        newer = {"newer": "", "newest": None}
        got = self.check(
            "model/polling/start", {"status": "running", "plugin_state": {"a": 1}, "result": None, "error": "", "max_attempts": None, **newer}
        )
        self.assertEqual(got, {"status": "running", "plugin_state": {"a": 1}, "result": None, **newer})
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
        """A short schema gets the defaults of a declaration; members that are new stay, in it and beside it."""
        told = self.check({**self.schema, "newest": [1]})
        self.assertEqual((told["newer"], told["model_schema"]["newest"], told["model_schema"]["label"]), (1, [1], {"en_US": "m"}))
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

    def test_limit_of_each(self) -> None:
        """The limit is one of a file, not of all that are open; all together have another."""
        self.blobs = BlobAssembler(20_000)
        files = [cut(str(n), b"1" * 20_000) for n in range(3)]
        self.assertEqual(len(self.send(*(piece for pieces in zip(*files, strict=True) for piece in pieces))), 3)
        self.blobs = BlobAssembler(HELD_LIMIT)
        (piece, _) = cut("a", b"1" * PIECE_LIMIT)
        with self.assertRaises(PluginInvokeError) as caught:
            for n in range(HELD_LIMIT // PIECE_LIMIT + 2):
                self.blobs.chunk(raw({**piece, "message": {**piece["message"], "id": str(n % 2)}}))
        self.assertIn("files that have not ended", caught.exception.message)

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
