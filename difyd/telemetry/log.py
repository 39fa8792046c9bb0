"""
Where the log goes: every event that is important enough becomes a line on standard output and, if wanted, in a file (configuration 10).

Lines are written at once and whole, by whichever thread logs: after a crash the last word is there. Twisted's own text observer takes four
times as long for the same.
"""

from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from threading import Lock
from typing import IO, Final, Protocol

from attrs import define, field
from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.python.logfile import LogFile
from zope.interface import implementer

from difyd.telemetry.lines import Clockface, Form, JsonForm, TextForm

MB: Final = 1024 * 1024
RANKS: Final = {LogLevel.debug: 10, LogLevel.info: 20, LogLevel.warn: 30, LogLevel.error: 40, LogLevel.critical: 50}
_LEAST: Final = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}


class Sink(Protocol):
    """A place that lines are written to."""

    def write(self, line: bytes) -> None:
        """Returns when `line` is out of this process. Raises OSError."""

    def reopen(self) -> None:
        """Somebody has moved the file away: begin a new one."""


@define(eq=False)
class StreamSink:
    """Standard output."""

    _stream: IO[bytes]

    def write(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def reopen(self) -> None:
        """A stream has no name to be opened by."""


@define(eq=False)
class FileSink:
    """A file that is rotated when it reaches a size; its directory is private, and so is the file when it is made here."""

    _file: LogFile

    @classmethod
    def at(cls, path: Path, size: int, backups: int) -> "FileSink":
        """`backups` older files are kept, as `path`.1 and so on. Raises OSError."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = None if path.exists() else 0o600
        return cls(LogFile(path.name, str(path.parent), rotateLength=size, defaultMode=mode, maxRotatedFiles=backups))

    def write(self, line: bytes) -> None:
        self._file.write(line)

    def reopen(self) -> None:
        self._file.reopen()

    def close(self) -> None:
        self._file.close()


@implementer(ILogObserver)
@define(eq=False)
class LineLog:
    """The observer. An event that is not important enough costs a look-up."""

    _form: Form
    _least: int
    """The lowest of RANKS that is written."""
    _sinks: Sequence[Sink]
    _lock: Lock = field(factory=Lock, init=False)

    def __call__(self, event: LogEvent) -> None:
        if RANKS.get(event["log_level"], 0) < self._least:
            return
        with self._lock:
            line = self._form.line(event)
            for sink in self._sinks:
                try:
                    sink.write(line)
                except OSError:  # a full disk, a pipe that nobody reads any more: there is no place left to say so
                    continue

    def reopen(self) -> None:
        """For whoever rotates the file from outside (SIGHUP)."""
        with self._lock:
            for sink in self._sinks:
                sink.reopen()


def make_log(stream: IO[bytes], level: str, form: str, zone: tzinfo, file: Path | None, size: int, backups: int) -> LineLog:
    """
    The observer that the settings ask for: `LOG_LEVEL`, `LOG_OUTPUT_FORMAT`, `SERVER_TZ`, `LOG_FILE`, `LOG_FILE_MAX_SIZE` in MB,
    `LOG_FILE_BACKUP_COUNT`. Raises OSError when the file cannot be opened.
    """
    sinks: list[Sink] = [StreamSink(stream)]
    if file is not None:
        sinks.append(FileSink.at(file, size * MB, backups))
    clock = Clockface(zone)
    return LineLog(JsonForm(clock) if form == "json" else TextForm(clock), _LEAST[level], sinks)
