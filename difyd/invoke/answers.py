"""What becomes of the chunks of a call, by the kind of its action."""

from collections.abc import Callable
from typing import Final

from attrs import define, field
from msgspec import Raw
from zope.interface import Interface, implementer

from difyd.errors import PluginInvokeError
from difyd.invoke.actions import Action, Answer
from difyd.invoke.blobs import BlobAssembler

EVENT_HEAD: Final = b'data: {"code":0,"message":"success","data":'
EVENT_TAIL: Final = b"}\n\n"
BETWEEN: Final = EVENT_TAIL + EVENT_HEAD


class IChunkSink(Interface):
    """Towards the client: takes bytes at once and never makes a plugin wait."""

    def write(data: bytes) -> None:
        """Whole events. Raises ClientTooSlow when too much waits for the client; the call is then over."""


class IAnswer(Interface):
    """One call's chunks, in the order of the plugin."""

    def chunk(data: Raw) -> None:
        """Check a chunk and take it. Raises MalformedChunk or another PluginInvokeError when the call is over because of it."""

    def flush() -> None:
        """Hand on what was taken since the last flush. Raises ClientTooSlow."""


@implementer(IAnswer)
@define(eq=False)
class EventAnswer:
    """Each chunk becomes one server-sent event, all events of one read of the plugin one write (http-api 5.1)."""

    _check: Callable[[Raw], Raw | None]
    _sink: IChunkSink
    _waiting: list[Raw] = field(factory=list, init=False)

    def chunk(self, data: Raw) -> None:
        checked = self._check(data)
        if checked is not None:
            self._waiting.append(checked)

    def flush(self) -> None:
        if self._waiting:
            events = BETWEEN.join(self._waiting)
            self._waiting = []
            self._sink.write(b"".join((EVENT_HEAD, events, EVENT_TAIL)))


@implementer(IAnswer)
@define(eq=False)
class LastAnswer:
    """The last chunk is the answer (http-api 9)."""

    _check: Callable[[Raw], Raw]
    _last: Raw | None = field(default=None, init=False)

    def chunk(self, data: Raw) -> None:
        self._last = self._check(data)

    def flush(self) -> None:
        """Nothing is handed on before the end."""

    def result(self) -> bytes:
        """Raises PluginInvokeError when the plugin ended without a chunk."""
        if self._last is None:
            raise NoResult
        return bytes(self._last)


class NoResult(PluginInvokeError):
    """A plugin ended without the one chunk that is its answer; the text is the wire's."""

    def __init__(self) -> None:
        super().__init__("PluginDaemonInnerError", "no polling result received from plugin", {})


def event_answer(action: Action, sink: IChunkSink) -> EventAnswer:
    """The answer of an action whose chunks are streamed."""
    check = BlobAssembler(action.file_limit).chunk if action.answer is Answer.ASSEMBLED else action.check
    return EventAnswer(check, sink)
