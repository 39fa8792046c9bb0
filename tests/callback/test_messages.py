"""The messages of plugins, and the lines that they get."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from difyd.callback.messages import BadMessage, Reply, decode_message
from difyd.callback.results import data_of
from tests.callback.fakes import call
from tests.wire.test_text import VALUES


class DecodeTests(SynchronousTestCase):
    def test_message(self) -> None:
        """Type and id are texts of the plugin's, the request stays as it was written."""
        found = decode_message('{"type":"llm","backwards_request_id":"my id ä","request":{ "n":1.0 },"new":1}'.encode())
        self.assertEqual((found.type, found.id, bytes(found.request)), ("llm", "my id ä", b'{ "n":1.0 }'))

    def test_malformed(self) -> None:
        """What is missing is named, in the order of the chapter."""
        for message, text in (
            ("null", "invoke request is empty"),
            ("[]", "unmarshal invoke request failed: "),
            ('"x"', "unmarshal invoke request failed: "),
            ("{}", "invoke request missing type: "),
            ('{"type":7,"backwards_request_id":"i","request":{}}', "invoke request missing type: "),
            ('{"type":"llm","request":{}}', "invoke request missing request_id: "),
            ('{"type":"llm","backwards_request_id":null,"request":{}}', "invoke request missing request_id: "),
            ('{"type":"llm","backwards_request_id":"i"}', "invoke request missing request: "),
            ('{"type":"llm","backwards_request_id":"i","request":[]}', "invoke request missing request: "),
        ):
            with self.assertRaises(BadMessage) as caught:
                decode_message(message.encode())
            body = json.loads(caught.exception.to_json())
            self.assertEqual(body["error_type"], "invoke_dify_error")
            self.assertTrue(body["message"].startswith(f"invoke dify failed: {text}"), body)


class ReplyTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Each line names the session, the ids of the call, and the invocation."""
        context = Raw(b'{"credentials":{"n":1.0}}')
        reply = Reply(call(session="s1", conversation_id="c", context=context), "r1", streams=True)
        text = reply.responses([Raw(b'{"a":1.0}'), Raw(b"{}")]) + reply.error("boom\n") + reply.end()
        self.assertIn(b'"context":{"credentials":{"n":1.0}}', text)
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            data = line.pop("data")
            self.assertEqual(line, {
                "session_id": "s1", "conversation_id": "c", "message_id": None, "app_id": "app-1", "endpoint_id": None,
                "context": json.loads(bytes(context)), "event": "backwards_response",
            })  # fmt: skip
            line["data"] = data
        self.assertEqual([line["data"] for line in lines], [
            {"backwards_request_id": "r1", "event": "response", "message": "stream", "data": {"a": 1.0}},
            {"backwards_request_id": "r1", "event": "response", "message": "stream", "data": {}},
            {"backwards_request_id": "r1", "event": "error", "message": "boom\n", "data": None},
            {"backwards_request_id": "r1", "event": "end", "message": "", "data": None},
        ])  # fmt: skip

    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.text(), VALUES), st.text(), st.sampled_from([None, 1, "\r"]))
    def test_no_second_line(self, data: dict[str, object], request_id: str, indent: int | str | None) -> None:
        """Whatever Dify sends and whatever a plugin calls its invocation: a response is one line."""
        answer = json.dumps({"data": data}, indent=indent, ensure_ascii=False).encode(errors="replace")
        line = Reply(call(), request_id).responses([data_of(answer)])
        self.assertEqual((line.count(b"\n"), line[-1:], len(line[:-1].splitlines())), (1, b"\n", 1))
        found = json.loads(line)["data"]
        self.assertEqual((found["backwards_request_id"], found["event"], found["message"]), (request_id, "response", "struct"))
        self.assertEqual(found["data"], json.loads(answer)["data"])

    def test_error_of_any_text(self) -> None:
        """Text that is no valid Unicode does not keep an error from being told."""
        self.assertIn(b"boom", Reply(call(), "r").error("boom \udcff"))
