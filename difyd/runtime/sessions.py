"""The open sessions of one channel to a plugin, and the way of its lines to them. Shared by child processes and debugging connections."""

from collections.abc import Sequence

import msgspec
from attrs import define, field
from twisted.logger import Logger
from zope.interface import Interface

from difyd.errors import MalformedChunk, MalformedLine, PluginInvokeError
from difyd.runtime.interfaces import ISession
from difyd.wire.events import (
    ABSENT,
    NULL,
    PluginEvent,
    Text,
    Unusable,
    decode_event,
    from_alias,
    invocation_of,
    is_invocation,
    members,
    salvage,
    session_of,
)
from difyd.wire.lines import Line, TooLong, TooLongEnd
from difyd.wire.text import clean


class IPluginListener(Interface):
    """Who hears what a plugin says beside its answers; the instance or the connection. Its methods return at once."""

    def heartbeat() -> None:
        """The plugin says that it lives; the first time, that it is ready."""

    def logged(level: str, message: str, timestamp: float | None) -> None:
        """A `log` event; `timestamp` in seconds of the plugin's clock, None when it gave none."""

    def complained(detail: str) -> None:
        """The plugin could not use a line of ours (an `error` event), or we one of its own."""

    def printed(text: bytes) -> None:
        """Output that is no message: a print left in the plugin's code."""


class _Log(msgspec.Struct, frozen=True):
    level: str
    message: str
    timestamp: float | None = None


_log = msgspec.json.Decoder(_Log)


class OutputTooLarge(PluginInvokeError):
    """A line of a plugin is longer than the daemon reads; only the call that it belongs to fails."""

    def __init__(self, limit: int, setting: str) -> None:
        remedy = f"send it in pieces, or raise {setting}" if setting else "send it in pieces"
        super().__init__("PluginOutputTooLarge", f"the plugin wrote a message of more than {limit} bytes; {remedy}", {})


@define(eq=False)
class Sessions:
    """
    Session id -> session, for one process or connection.

    Lines that were read together are routed together, and each session that was fed is flushed once, so that one read from the plugin
    becomes at most one write per client.
    """

    log = Logger()

    _listener: IPluginListener
    _limit: int
    """Longest line, for the text of an error; `_setting` is the one that raises it, "" where there is none."""
    _setting: str = "PLUGIN_RUNTIME_MAX_BUFFER_SIZE"
    _open: dict[str, ISession] = field(factory=dict, init=False)
    _invoking: bytes = field(default=b"", init=False)
    """The beginning of an over-long invocation whose end has not come yet."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: ISession) -> None:
        self._open[session.id] = session

    def remove(self, session: ISession) -> None:
        """Nothing more is fed to `session`; does nothing when it is not here."""
        self._open.pop(session.id, None)

    def fail(self, reason: PluginInvokeError) -> None:
        """The channel is gone: every open session hears it, once."""
        sessions, self._open = list(self._open.values()), {}
        for session in sessions:
            session.broken(reason)

    def lines(self, lines: Sequence[Line]) -> None:
        """Route what one read has brought."""
        fed: dict[str, ISession] = {}
        for line in lines:
            try:
                if not isinstance(line, bytes):
                    self._too_long(line)
                    continue
                text = clean(line)
                try:
                    event = decode_event(text)
                except MalformedLine:
                    self._salvage(text, fed)
                    continue
                self._event(event, text, fed)
            except Exception:  # a bug of ours in one line must not cost those that came with it
                self.log.failure("a line of a plugin could not be handled")
        for session in fed.values():
            session.flush()

    def _event(self, event: PluginEvent, text: bytes, fed: dict[str, ISession]) -> None:
        if event.event == "session":
            self._message(event, fed)
        elif event.event == "heartbeat":
            self._listener.heartbeat()
        elif event.event == "log":
            self._logged(text)
        elif event.event == "error":
            self._listener.complained(bytes(members(text).get("data", NULL)).decode())
        elif not event.event:
            for alias in from_alias(text):
                self._event(alias, text, fed)

    def _message(self, event: PluginEvent, fed: dict[str, ISession]) -> None:
        session = self._open.get(event.session_id or "")
        if session is None:
            return  # over, or never ours: its plugin cannot be told and writes on
        message = event.data
        if message is None or not message.type or message.data == ABSENT:
            self._listener.complained(f"a message of session {event.session_id} without type or data")
        elif message.type == "stream":
            fed[session.id] = session
            session.stream(message.data)
        elif message.type == "end":
            session.end()
        elif message.type == "error":
            session.error(bytes(message.data))
        elif message.type == "invoke":
            session.invoke(bytes(message.data))
        else:
            session.unknown(message.type)

    def _logged(self, text: bytes) -> None:
        try:
            said = _log.decode(members(text).get("data", NULL))
        except msgspec.DecodeError as why:
            self._listener.complained(f"a log event without level and message: {why}")
        else:
            self._listener.logged(said.level, said.message, said.timestamp)

    def _salvage(self, text: bytes, fed: dict[str, ISession]) -> None:
        for found in salvage(text):
            match found:
                case Text(stray):
                    self._listener.printed(stray)
                case Unusable(session_id, reason):
                    if session := self._open.get(session_id):
                        session.broken(MalformedChunk(reason))
                case event, own:
                    self._event(event, own, fed)

    def _too_long(self, line: TooLong | TooLongEnd) -> None:
        """An answer breaks its session at once; an invocation is refused by its id, which may stand at the end of the line."""
        if isinstance(line, TooLongEnd):
            head, self._invoking = self._invoking, b""
            if head:
                self._refuse(head, line.tail)
        elif is_invocation(line.head):
            self._invoking = line.head
        else:
            self._break(line.head)

    def _refuse(self, head: bytes, tail: bytes) -> None:
        request = invocation_of(head, tail)
        session = self._open.get(session_of(head) or "")
        if request is None or session is None:
            self._break(head)
        else:
            session.refuse(request, str(OutputTooLarge(self._limit, self._setting)))

    def _break(self, head: bytes) -> None:
        session = self._open.get(session_of(head) or "")
        if session is None:
            self._listener.complained(f"a line of more than {self._limit} bytes, which belongs to no open session")
        else:
            session.broken(OutputTooLarge(self._limit, self._setting))
