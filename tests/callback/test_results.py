"""What a plugin gets for what Dify answers."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from difyd.callback import results
from difyd.callback.errors import InnerApiError
from difyd.callback.results import completed, data_of
from difyd.callback.shapes import WrongShape
from difyd.callback.types import TYPES
from tests.callback.fakes import chunk
from tests.wire.test_text import VALUES

PRICES = dict.fromkeys(
    (
        "prompt_unit_price",
        "prompt_price_unit",
        "prompt_price",
        "completion_unit_price",
        "completion_price_unit",
        "completion_price",
        "total_price",
    ),
    "0.001",
)
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "currency": "USD", "latency": 0.5, **PRICES}
EMBEDDING_USAGE = {"tokens": 1, "total_tokens": 1, "currency": "USD", "latency": 1, "unit_price": "1", "price_unit": "1", "total_price": "1"}
EMBEDDING = {"model": "m", "embeddings": [[0.5, -1]], "usage": EMBEDDING_USAGE}


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def got(kind: str, value: object) -> Any:
    return json.loads(bytes(TYPES[kind].check(raw(value))))


class DataOfTests(SynchronousTestCase):
    @settings(max_examples=50, deadline=None)
    @given(VALUES, st.sampled_from([None, 1]), st.booleans())
    def test_one_line(self, value: object, indent: int | None, ascii_only: bool) -> None:
        """Any data of any layout is the same data on one line."""
        answer = json.dumps({"error": "", "data": [value]}, indent=indent, ensure_ascii=ascii_only).encode()
        data = bytes(data_of(answer))
        self.assertEqual(json.loads(data), [value])
        self.assertLessEqual(len(data.decode().splitlines()), 1)

    def test_repaired(self) -> None:
        """Invalid UTF-8 and halves of surrogate pairs become U+FFFD, as everywhere."""
        self.assertEqual(json.loads(bytes(data_of(b'{"data":{"a":"\xff"}}'))), {"a": "\ufffd"})
        self.assertEqual(json.loads(bytes(data_of(rb'{"data":{"a":"\ud800"}}'))), {"a": "\ufffd"})

    def test_errors(self) -> None:
        """An error counts even where there is data; no data is an error; so is what is no answer."""
        for answer, text in (
            ('{"data":{},"error":"boom"}', "request failed: boom"),
            ('{"data":null,"error":""}', "data is nil"),
            ('{"data":null,"error":null}', "data is nil"),
            ('{"error":""}', "data is nil"),
            ("{}", "data is nil"),
            ("<html>", "the answer cannot be read: "),
            ('{"data":{}', "the answer cannot be read: "),
            ('"text"', "the answer cannot be read: "),
            ("[]", "the answer cannot be read: "),
            ('{"data":NaN}', "the answer cannot be read: "),
            ('{"data":' + "[" * 100_000, "the answer cannot be read: "),
            ("", "the answer cannot be read: "),
        ):
            with self.assertRaises(InnerApiError) as caught:
                data_of(answer.encode())
            self.assertTrue(str(caught.exception).startswith(text), str(caught.exception))


class ResultTests(SynchronousTestCase):
    def refused(self, kind: str, value: object) -> None:
        with self.assertRaises(WrongShape, msg=f"{kind}: {value}"):
            TYPES[kind].check(raw(value))

    def test_untouched(self) -> None:
        """What lacks nothing stays the very bytes that came."""
        structured = {**chunk(), "structured_output": {"a": 1}}
        for kind, value in (("llm", chunk()), ("llm_structured_output", structured), ("text_embedding", EMBEDDING)):
            data = raw(value)
            self.assertIs(TYPES[kind].check(data), data)

    def test_chunk(self) -> None:
        """Content that is null is an empty text, tool calls are a list, and the prompt is not repeated."""
        for change in ({"content": None}, {"content": "x", "tool_calls": None}, {"content": "x"}):
            value = {**chunk(message={"role": "assistant", "new": 1, **change}), "prompt_messages": [{"role": "user", "content": "secret"}]}
            found = got("llm", value)
            self.assertEqual(found["delta"]["message"], {"role": "assistant", "new": 1, "content": change["content"] or "", "tool_calls": []})
            self.assertEqual(found["prompt_messages"], [])

    def test_opaque(self) -> None:
        """What is none of our business passes: parts of content, opaque bodies, figures of newer servers."""
        message = {"role": "assistant", "content": [{"type": "new", "a": 1}], "tool_calls": [], "opaque_body": {"b": [None]}}
        value = chunk(message=message, usage={**USAGE, "time_to_first_token": 0.25})
        self.assertEqual(got("llm", value), value)

    def test_structured(self) -> None:
        """There is always a structured output, though it may be null."""
        self.assertEqual(got("llm_structured_output", chunk()), {**chunk(), "structured_output": None})

    def test_bad_chunks(self) -> None:
        """What the SDK could not read is no chunk."""
        for value in (
            [],
            {"model": "m"},
            {**chunk(), "model": ""},
            {**chunk(), "model": 7},
            chunk(index=None),
            chunk(message={"content": "x"}),
            chunk(message={"role": "assistant", "content": 7}),
            chunk(message={"role": "assistant", "content": "x", "tool_calls": {}}),
            chunk(usage={}),
            chunk(usage={**USAGE, "currency": None}),
            chunk(usage={**USAGE, "total_price": "much"}),
            chunk(usage={**USAGE, "total_price": "NaN"}),
            chunk(usage={**USAGE, "total_price": "1e999999999"}),
        ):
            self.refused("llm", value)

    def test_prices(self) -> None:
        """Prices are texts in plain notation, however Dify wrote them."""
        for written, plain in (
            ("0.0010", "0.001"), (1e-7, "0.0000001"), ("0E-7", "0"), ("1E+2", "100"), (None, "0"), (3, "3"), (-1.50, "-1.5"), ("-0", "0"),
        ):  # fmt: skip
            found = got("text_embedding", {**EMBEDDING, "usage": {**EMBEDDING_USAGE, "total_price": written}})
            self.assertEqual(found["usage"]["total_price"], plain)
        self.assertEqual(got("llm", chunk(usage={name: USAGE[name] for name in USAGE if name not in PRICES}))["delta"]["usage"], {
            **USAGE, **dict.fromkeys(PRICES, "0"),
        })  # fmt: skip

    def test_other_results(self) -> None:
        """The rest, as it is right and as it is not."""
        node = {"process_data": {}, "outputs": {"a": [1]}, "inputs": {}}
        for kind, right, wrong in (
            ("multimodal_embedding", EMBEDDING, {**EMBEDDING, "embeddings": None}),
            ("text_embedding", EMBEDDING, {**EMBEDDING, "usage": {**EMBEDDING_USAGE, "tokens": None}}),
            ("rerank", {"model": "m", "docs": [{"index": 0, "text": "", "score": 1}]}, {"model": "m", "docs": [{"text": "a", "score": 1}]}),
            ("multimodal_rerank", {"model": "m", "docs": []}, {"model": "m"}),
            ("tts", {"result": "not hex", "mime_type": "audio/mpeg"}, {"result": 7}),
            ("speech2text", {"result": "hello"}, {"result": []}),
            ("moderation", {"result": True}, {"result": "yes"}),
            ("system_summary", {"summary": "s"}, {"summary": 7}),
            ("node_parameter_extractor", node, {**node, "outputs": None}),
            ("node_question_classifier", node, {"outputs": {}}),
            ("upload_file", {"url": "https://dify/u"}, {"url": ["a"]}),
            ("app", {"event": "message", "x": [1]}, ["event"]),
            ("tool", {"type": "text", "message": {"text": "t"}, "meta": None}, {"type": "hologram", "message": {}, "meta": None}),
        ):
            self.assertEqual(got(kind, right), right)
            self.refused(kind, wrong)

    def test_stand_ins(self) -> None:
        """What may be absent has a value for the plugin."""
        self.assertEqual(got("tool", {"type": "json"}), {"type": "json", "message": None, "meta": None})
        self.assertEqual(got("tts", {"mime_type": ""}), {"result": ""})
        self.assertEqual(got("moderation", {}), {"result": False})

    def test_wrapped(self) -> None:
        """An app is in a wrapping of its own; an empty one is an error, not an empty app."""
        self.assertEqual(got("fetch_app", {"data": {"mode": "chat"}}), {"mode": "chat"})
        self.refused("fetch_app", {"data": "text"})
        with self.assertRaises(InnerApiError):
            results.unwrapped(raw({"data": None}))

    def test_links(self) -> None:
        """A path becomes an address at the Dify that was asked; addresses stay."""
        for url, whole in (
            ("/files/upload?sign=a%2Bb", "http://api/x/files/upload?sign=a%2Bb"),
            ("https://dify/files", "https://dify/files"),
            ("//dify/files", "//dify/files"),
        ):
            self.assertEqual(json.loads(bytes(completed(raw({"url": url, "n": 1}), "http://api/x"))), {"url": whole, "n": 1})
