"""A session's channel, and a Dify in memory that answers what a test has told it to."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
from attrs import define, field
from msgspec.structs import replace
from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from difyd.callback.inner_api import InnerApi, Limits
from difyd.entities.call import Call
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.interfaces import IChannel
from difyd.wire.frames import HEADER, HEADER_LENGTH, MAGIC

IDENTIFIER = PluginIdentifier.parse("acme/demo:0.0.1@" + "a" * 64)
ALL: dict[str, Any] = {
    "tool": {"enabled": True},
    "node": {"enabled": True},
    "app": {"enabled": True},
    "storage": {"enabled": True, "size": 1024},
    "model": dict.fromkeys(("enabled", "llm", "text_embedding", "rerank", "tts", "speech2text", "moderation"), True),
}
LIMITS = Limits(read=240, write=5, frame=1 << 20)
URL = "http://api:5001"
KEY = "inner-key"


def declaration(permission: dict[str, Any] | None = ALL) -> Declaration:
    resource = {} if permission is None else {"permission": permission}
    return Declaration.decode(msgspec.json.encode({"resource": resource}))


TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
CALL = Call("s", "tenant-1", "user-1", IDENTIFIER, declaration(), "tool", "invoke_tool", app_id="app-1", traceparent=TRACE)


def call(**change: Any) -> Call:
    """A call with a session of its own."""
    return replace(CALL, **{"session": str(uuid4()), **change})


def frame(value: object, error: str = "") -> bytes:
    """A frame of the inner API with this data; bytes stand for the whole JSON text."""
    text = value if isinstance(value, bytes) else json.dumps({"data": value, "error": error}).encode()
    return HEADER.pack(MAGIC, HEADER_LENGTH, len(text)) + text


def chunk(text: str = "Hi", **delta: Any) -> dict[str, Any]:
    """A chunk of a language model, as Dify writes it."""
    message = {"role": "assistant", "content": text, "name": "", "tool_calls": [], "tool_call_id": ""}
    delta = {"index": 0, "message": message, "usage": None, "finish_reason": None, **delta}
    return {"model": "m", "prompt_messages": [], "system_fingerprint": "", "delta": delta}


def message(kind: str, request: dict[str, Any], request_id: str = "r1") -> bytes:
    return json.dumps({"type": kind, "backwards_request_id": request_id, "request": request}).encode()


LLM = {"provider": "p", "model": "m", "mode": "chat", "prompt_messages": []}


@implementer(IChannel)
@define(eq=False)
class Channel:
    """Keeps what is sent; has room unless `full`, then until `drain`."""

    full: bool = False
    writes: list[bytes] = field(factory=list)
    waiting: list[Deferred[None]] = field(factory=list)
    on_send: Callable[[], None] = lambda: None

    def send(self, line: bytes) -> None:
        self.writes.append(line)
        self.on_send()

    def room(self) -> Deferred[None]:
        if not self.full:
            return succeed(None)
        waiter: Deferred[None] = Deferred(lambda _: self.waiting.remove(waiter))
        self.waiting.append(waiter)
        return waiter

    def drain(self) -> None:
        self.full = False
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def close(self) -> None:
        """A test looks at what was sent, not at this."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines, decoded; each ends with the only newline that it has."""
        text = b"".join(self.writes)
        assert text == b"" or text.endswith(b"\n"), text
        return [json.loads(line) for line in text.split(b"\n")[:-1]]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """`(event, data or message)` of all lines."""
        return [(line["data"]["event"], line["data"]["data"] or line["data"]["message"]) for line in self.lines]


@define(eq=False)
class Asked:
    """One request that Dify got, and the answer in the making."""

    path: str
    headers: dict[str, str]
    raw: bytes
    request: Request = field(repr=False)
    gone: bool = False

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


Answer = Callable[[Asked], bytes | int]


def whole(body: object, status: int = 200) -> Answer:
    """An answer in one piece; what is not bytes is JSON."""

    def answer(asked: Asked) -> bytes:
        asked.request.setResponseCode(status)
        return body if isinstance(body, bytes) else json.dumps(body).encode()

    return answer


def single(data: object, error: str = "") -> Answer:
    return whole({"data": data, "error": error})


def begun(asked: Asked) -> int:
    """The head is sent, the rest is written by the test."""
    asked.request.setResponseCode(200)
    asked.request.write(b"")
    return NOT_DONE_YET


def silent(asked: Asked) -> int:
    return NOT_DONE_YET


class MemoryDify(Resource):
    """Answers 404 to what no answer was set for."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []

    def render(self, request: Request) -> bytes | int:
        headers = {name.decode().lower(): values[0].decode() for name, values in request.requestHeaders.getAllRawHeaders()}
        asked = Asked(request.path.decode(), headers, request.content.read(), request)
        self.asked.append(asked)
        request.notifyFinish().addErrback(lambda _: setattr(asked, "gone", True))
        return self.answers.get(asked.path.partition("/inner/api/")[2], whole({"code": "not_found"}, 404))(asked)


@define(eq=False)
class Rig:
    """The client of the inner API, connected to a Dify in memory."""

    url: str = URL
    limits: Limits = LIMITS
    clock: Clock = field(factory=Clock)
    dify: MemoryDify = field(factory=MemoryDify)
    agent: RequestTraversalAgent = field(init=False)
    api: InnerApi = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.agent = RequestTraversalAgent(self.dify)
        self.api = InnerApi(self.clock, HTTPClient(self.agent), self.url, KEY, self.limits)

    def write(self, *pieces: bytes, end: bool = False, cut: bool = False) -> None:
        """More of the newest answer."""
        request = self.dify.asked[-1].request
        for piece in pieces:
            request.write(piece)
            self.agent.flush()
        if end:
            request.finish()
        if cut:
            request.transport.abortConnection()
        self.agent.flush()
