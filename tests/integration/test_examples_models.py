"""The example with models: every route of a model provider, on the real SDK."""

from io import BytesIO
from typing import Any

from examples.demo import TENANT
from tests.integration.example_house import ExampleTestCase
from tests.test_examples import part_of

GIVEN = {"api_key": "offline-1"}
SAID = [
    {"role": "system", "content": "The door opens at seven. Coffee is on the second floor."},
    {"role": "user", "content": [{"type": "text", "data": "Where is coffee?"}]},
]


class ModelTests(ExampleTestCase):
    example = "offline_models"

    def ask(self, route: str, model: str, model_type: str, **data: Any) -> list[Any]:
        return self.client.chunks(route, provider="offline", model=model, model_type=model_type, credentials=GIVEN, **data)

    def one(self, route: str, model: str, model_type: str, **data: Any) -> Any:
        (chunk,) = self.ask(route, model, model_type, **data)
        return chunk

    def llm(self, **data: Any) -> list[Any]:
        return self.ask("llm/invoke", "quoter", "llm", **{"prompt_messages": SAID, "model_parameters": {}, "stream": True, **data})

    def without_latency(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The only figure that nobody knows beforehand."""
        latency = usage.pop("latency")
        self.assertIsInstance(latency, float)
        self.assertLess(0, latency)
        return usage

    def test_streamed(self) -> None:
        """An answer comes token by token; the last chunk says why it ends and what it cost, to the last digit."""
        *chunks, last = self.llm()
        usage = self.without_latency(last["delta"]["usage"])
        for index, (chunk, token) in enumerate(zip(chunks, ["Coffee", " is", " on", " the", " second", " floor."], strict=True)):
            message = {"role": "assistant", "content": token, "name": "", "tool_calls": []}
            self.assertLessEqual(message.items(), {**chunk["delta"]["message"], "name": chunk["delta"]["message"]["name"] or ""}.items())
            self.assertEqual((chunk["model"], chunk["prompt_messages"], chunk["delta"]["index"]), ("quoter", [], index))
            self.assertEqual((chunk["delta"]["finish_reason"], chunk["delta"]["usage"]), (None, None))
        self.assertEqual((last["delta"]["index"], last["delta"]["message"]["content"], last["delta"]["finish_reason"]), (6, "", "stop"))
        self.assertEqual(usage, {
            "prompt_tokens": 14, "prompt_unit_price": "0.1", "prompt_price_unit": "0.000001", "prompt_price": "0.0000014",
            "completion_tokens": 6, "completion_unit_price": "0.2", "completion_price_unit": "0.000001", "completion_price": "0.0000012",
            "total_tokens": 20, "total_price": "0.0000026", "currency": "USD",
        })  # fmt: skip

    def test_parameters(self) -> None:
        """What people set reaches the model: a limit ends the answer with another reason, a stop word cuts it."""
        *chunks, last = self.llm(model_parameters={"max_tokens": 2})
        self.assertEqual([chunk["delta"]["message"]["content"] for chunk in chunks], ["Coffee", " is"])
        self.assertEqual((last["delta"]["finish_reason"], last["delta"]["usage"]["completion_tokens"]), ("length", 2))
        *chunks, last = self.llm(stop=["second", "on"])
        self.assertEqual([chunk["delta"]["message"]["content"] for chunk in chunks], ["Coffee", " is"])
        self.assertEqual(last["delta"]["finish_reason"], "stop")

    def test_not_streamed(self) -> None:
        """Without streaming the answer is one chunk with everything."""
        (chunk,) = self.llm(stream=False)
        self.assertEqual(chunk["delta"]["message"]["content"], "Coffee is on the second floor.")
        self.assertEqual(self.without_latency(chunk["delta"]["usage"])["total_price"], "0.0000026")

    def test_tokens(self) -> None:
        """Tokens are counted by the plugin, for prompts and for texts to embed."""
        self.assertEqual(self.one("llm/num_tokens", "quoter", "llm", prompt_messages=SAID, tools=[]), {"num_tokens": 14})
        counted = self.one("text_embedding/num_tokens", "word-hash", "text-embedding", texts=["one two", "", "three"])
        self.assertEqual(counted, {"num_tokens": [2, 0, 1]})

    def test_embedding(self) -> None:
        """Vectors arrive with every digit that the plugin computed."""
        texts = ["Coffee, coffee and tea", "tea"]
        result = self.one("text_embedding/invoke", "word-hash", "text-embedding", texts=texts, input_type="document")
        vector = part_of("offline_models", "texts").vector
        self.assertEqual(result["embeddings"], [vector(text) for text in texts])
        self.assertEqual(sorted(map(abs, result["embeddings"][1]))[-2:], [0, 1])
        self.assertEqual((result["model"], self.without_latency(result["usage"])), ("word-hash", {
            "tokens": 5, "total_tokens": 5, "unit_price": "0.02", "price_unit": "0.000001", "total_price": "0.0000001", "currency": "USD",
        }))  # fmt: skip

    def test_rerank(self) -> None:
        """Documents come back by rank with their old places; nulls for the limits reach the plugin as that."""
        ask = {"query": "hot coffee", "docs": ["tea", "coffee", "hot black coffee"]}
        ranked = [{"index": 2, "text": "hot black coffee", "score": 1.0}, {"index": 1, "text": "coffee", "score": 0.5}]
        everything = {"model": "word-overlap", "docs": [*ranked, {"index": 0, "text": "tea", "score": 0.0}]}
        self.assertEqual(self.one("rerank/invoke", "word-overlap", "rerank", **ask, score_threshold=None, top_n=None), everything)
        chosen = self.one("rerank/invoke", "word-overlap", "rerank", **ask, score_threshold=0.5, top_n=5)
        self.assertEqual(chosen, {"model": "word-overlap", "docs": ranked})

    def test_moderation(self) -> None:
        """A text is refused or not."""
        self.assertEqual(self.one("moderation/invoke", "word-list", "moderation", text="What the heck!"), {"result": True})
        self.assertEqual(self.one("moderation/invoke", "word-list", "moderation", text="A checkmate."), {"result": False})

    def test_speech(self) -> None:
        """A text becomes sound in pieces, byte for byte, and the sound becomes the text again."""
        pieces = self.ask("tts/invoke", "morse", "tts", content_text="Hello, world 7", voice="high", tenant_id=TENANT)
        audio = b"".join(bytes.fromhex(piece["result"]) for piece in pieces)
        self.assertGreater(len(pieces), 2)
        self.assertEqual(audio, part_of("offline_models", "morse").record("Hello, world 7", 800))
        heard = self.one("speech2text/invoke", "morse-ear", "speech2text", file=audio.hex())
        self.assertEqual(heard, {"result": "HELLO, WORLD 7"})
        self.assertEqual(part_of("offline_models", "morse").listen(BytesIO(audio)), "HELLO, WORLD 7")

    def test_voices(self) -> None:
        """The voices are those of the declaration, all of them or those that speak a language."""
        low, high = {"name": "Low", "value": "low"}, {"name": "High", "value": "high"}
        self.assertEqual(self.one("tts/model/voices", "morse", "tts", language=None), {"voices": [low, high]})
        self.assertEqual(self.one("tts/model/voices", "morse", "tts", language="de-DE"), {"voices": [high]})

    def test_schema(self) -> None:
        """The schema of a model is the plugin's, with the defaults of its template."""
        schema = self.one("model/schema", "quoter", "llm")["model_schema"]
        (rule,) = schema["parameter_rules"]
        self.assertEqual((schema["model"], schema["model_type"], schema["fetch_from"]), ("quoter", "llm", "predefined-model"))
        self.assertEqual(schema["model_properties"], {"mode": "chat", "context_size": 8192})
        self.assertEqual(schema["pricing"], {"input": "0.1", "output": "0.2", "unit": "0.000001", "currency": "USD"})
        self.assertEqual((rule["name"], rule["use_template"], rule["type"], rule["default"]), ("max_tokens", "max_tokens", "int", 256))
        self.assertEqual((rule["min"], rule["max"], rule["precision"]), (1, 2048, 0))

    def test_credentials(self) -> None:
        """Good credentials come back with the answer; bad ones are refused in the plugin's words, for the provider and for a model."""
        provider, model = "model/validate_provider_credentials", "model/validate_model_credentials"
        self.assertEqual(self.client.chunks(provider, provider="offline", credentials=GIVEN), [{"result": True, "credentials": GIVEN}])
        self.assertEqual(self.one(model, "quoter", "llm"), {"result": True, "credentials": GIVEN})
        refused = ("CredentialsValidateFailedError", "The key has to begin with “offline-”.")
        self.assertEqual(self.client.refusal(provider, provider="offline", credentials={"api_key": "online"}), refused)
        given = {"provider": "offline", "model": "morse", "model_type": "tts", "credentials": {}}
        self.assertEqual(self.client.refusal(model, **given), refused)

    def test_failures(self) -> None:
        """What goes wrong within a model arrives as the error that Dify knows, and fails its own call only."""
        given = {"provider": "offline", "model": "morse", "model_type": "tts", "tenant_id": TENANT, "content_text": "a", "voice": "none"}
        self.assertEqual(
            self.client.refusal("tts/invoke", **given, credentials=GIVEN),
            ("InvokeBadRequestError", "[models] Bad Request Error, there is no voice none"),
        )
        kind, words = self.client.refusal("tts/invoke", **given, credentials={"api_key": "x"})
        self.assertEqual(kind, "InvokeAuthorizationError")
        self.assertIn("Incorrect model credentials provided", words)
        self.assertEqual(len(self.client.chunks("tts/invoke", **{**given, "voice": "low"}, credentials=GIVEN)), 1)

    def test_listed(self) -> None:
        """The provider is listed with its six models, in the order of their files."""
        (listed,) = self.client.json("/management/models?page=1&page_size=10")
        self.assertEqual((listed["provider"], listed["plugin_id"]), ("offline", "difyd/offline_models"))
        self.assertEqual(
            [model["model"] for model in listed["declaration"]["models"]],
            ["quoter", "word-list", "word-overlap", "morse-ear", "word-hash", "morse"],
        )
