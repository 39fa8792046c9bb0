"""
A log event as one line, in the two forms that operators know (configuration 10).

    2026-03-01T08:15:04.123456789Z INFO dify-plugin-daemon traffic.py:93 trace_id=4bf9… tenant_id=6f0d… HTTP request method=POST status=200

`time level service caller [trace_id] [tenant_id] [user_id] message key=value …`, or the same as a JSON object. In an event the ids are the
fields `trace`, `span`, `tenant`, `user` and `user_type`. What the message has taken into its text is not repeated behind it, but stands
among the attributes in JSON. Who logs is found on the stack, unless the event says so itself (`log_caller`): that is for events of which
there are thousands a second.
"""

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, tzinfo
from string import Formatter
from typing import Any, Final, Protocol

import msgspec
from attrs import define, field
from twisted.logger import LogEvent, LogLevel, formatEvent

SERVICE: Final = "dify-plugin-daemon"
LEVELS: Final = {LogLevel.debug: "DEBUG", LogLevel.info: "INFO", LogLevel.warn: "WARN", LogLevel.error: "ERROR", LogLevel.critical: "ERROR"}

_IDS: Final = (("trace", "trace_id"), ("tenant", "tenant_id"), ("user", "user_id"))
_IDENTITY: Final = (("tenant", "tenant_id"), ("user", "user_id"), ("user_type", "user_type"))
_NOT_ATTRIBUTES: Final = frozenset(
    (
        *("trace", "span", "tenant", "user", "user_type"),
        *("log_logger", "log_level", "log_namespace", "log_source", "log_format", "log_time", "log_failure", "log_trace", "log_flattened"),
        *("log_caller", "log_system", "log_text", "log_legacy", "log_io"),
        *("isError", "system", "time", "format", "failure", "why", "debug", "logLevel"),
    )
)
"""Fields with places of their own, those of Twisted's log, and those that its older log added."""
_SECRET: Final = frozenset(("key", "api_key", "password", "secret", "token", "credentials", "settings", "dsn"))
"""Nobody should log these; if somebody does, the value stays out."""
_MACHINERY: Final = re.compile(
    r"[/\\](?:twisted[/\\](?:logger[/\\]|python[/\\](?:log|threadable|context)\.py)|telemetry[/\\](?:log|lines)\.py)"
)
"""Files between whoever logs and the code here."""
_FORMATS_KEPT: Final = 2000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What does something to a terminal or to a reader of lines instead of being shown."""
_PLAIN: Final = re.compile(r"[!#-~]+").fullmatch
"""Text that nobody takes for more than one word; most values are."""


class Form(Protocol):
    """Makes a line, with its newline, out of an event."""

    def line(self, event: LogEvent) -> bytes: ...


@define(eq=False)
class Clockface:
    """Times in a zone, to the nanosecond; what changes once a second is made once a second."""

    _zone: tzinfo
    _second: int = field(default=-1, init=False)
    _text: str = field(default="", init=False)
    _offset: str = field(default="", init=False)

    def read(self, time: float) -> str:
        """RFC 3339."""
        second = int(time)
        if second != self._second:
            moment = datetime.fromtimestamp(second, self._zone).isoformat()
            self._second, self._text, self._offset = second, moment[:19], "Z" if moment[19:] == "+00:00" else moment[19:]
        return f"{self._text}.{int((time - second) * 1e9):09d}{self._offset}"


@define(eq=False)
class Callers:
    """Finds who logs: a file name and a line."""

    _names: dict[str, str] = field(factory=dict, init=False)
    """By the path of a file its name, "" for logging machinery."""

    def nearest(self) -> str:
        """The nearest frame that is not logging machinery."""
        frame = sys._getframe(1)
        while True:
            path = frame.f_code.co_filename
            name = self._names.get(path)
            if name is None:
                name = self._names[path] = "" if _MACHINERY.search(path) else re.split(r"[/\\]", path)[-1]
            if name or frame.f_back is None:
                return f"{name}:{frame.f_lineno}"
            frame = frame.f_back


@define(eq=False)
class TextForm:
    """Lines for people and for grep; the traceback of a failure follows on lines of its own."""

    _clock: Clockface
    _callers: Callers = field(factory=Callers)
    _told: dict[str, frozenset[str]] = field(factory=dict, init=False)

    def line(self, event: LogEvent) -> bytes:
        caller = event.get("log_caller") or self._callers.nearest()
        parts = [self._clock.read(event["log_time"]), LEVELS[event["log_level"]], SERVICE, caller]
        for key, name in _IDS:
            if value := event.get(key):
                parts.append(f"{name}={_quoted(value)}")
        parts.append(message_of(event))
        told = self._fields_in(event.get("log_format") or "")
        for name, value in attributes_of(event):
            if name not in told:
                parts.append(f"{name}={_quoted(value)}")
        text = " ".join(parts) + "\n"
        if "log_failure" in event:
            text += event["log_failure"].getTraceback()
        return text.encode("utf-8", "backslashreplace")

    def _fields_in(self, template: str) -> frozenset[str]:
        """The fields that a message takes into its text."""
        found = self._told.get(template)
        if found is None:
            found = frozenset(_fields(template))
            if len(self._told) < _FORMATS_KEPT:
                self._told[template] = found
        return found


@define(eq=False)
class JsonForm:
    """One JSON object for each event."""

    _clock: Clockface
    _callers: Callers = field(factory=Callers)

    def line(self, event: LogEvent) -> bytes:
        record: dict[str, Any] = {
            "ts": self._clock.read(event["log_time"]),
            "severity": LEVELS[event["log_level"]],
            "service": SERVICE,
            "caller": event.get("log_caller") or self._callers.nearest(),
            "message": message_of(event),
        }
        if event.get("trace"):
            record["trace_id"] = event["trace"]
        if event.get("span"):
            record["span_id"] = event["span"]
        if identity := {name: event[key] for key, name in _IDENTITY if event.get(key)}:
            record["identity"] = identity
        if attributes := dict(attributes_of(event)):
            record["attributes"] = attributes
        if "log_failure" in event:
            record["stack_trace"] = event["log_failure"].getTraceback()
        try:
            return msgspec.json.encode(record, enc_hook=str) + b"\n"
        except (TypeError, ValueError):  # text that is no Unicode, or a key that is no text
            return json.dumps(record, default=str, skipkeys=True).encode() + b"\n"


def message_of(event: LogEvent) -> str:
    """The text of an event, on one line: what came from outside must not look like a line of ours."""
    template: str = event.get("log_format") or ""
    if "{" not in template:
        message = template
    else:
        try:
            message = template.format_map(event)
        except Exception:  # a format of Twisted's may hold calls, `{source()}`, which its own formatter knows; that one never raises
            message = formatEvent(event)
    if not message and "log_failure" in event:
        message = event["log_failure"].getErrorMessage()
    return message if message.isprintable() else _visible(message)


def _visible(text: str) -> str:
    """The same without what ends a line, moves a cursor or turns the direction of writing, written as Python writes it."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def attributes_of(event: LogEvent) -> list[tuple[str, Any]]:
    """The fields that have no place of their own in a line. Of Twisted's older log is a `message` that is a tuple."""
    return [
        (name, "***" if name in _SECRET else value)
        for name, value in event.items()
        if name not in _NOT_ATTRIBUTES and (name != "message" or type(value) is str)
    ]


def _fields(template: str) -> Iterator[str]:
    try:
        for _, name, _, _ in Formatter().parse(template):
            if name:
                yield re.split(r"[.\[(]", name, maxsplit=1)[0]
    except ValueError:  # braces that are no format; the message says so
        return


def _quoted(value: Any) -> str:
    if type(value) is int:
        return str(value)
    text = value if isinstance(value, str) else str(value)
    if _PLAIN(text):
        return text
    if not text.isprintable():
        return _visible(json.dumps(text, ensure_ascii=False))
    if " " not in text and '"' not in text and text:
        return text
    return json.dumps(text, ensure_ascii=False)
