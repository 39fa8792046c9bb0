"""
Bodies of requests: in memory while they are small, in a temporary file beyond that.

`request.content` is a binary file object positioned at its start, as everywhere in twisted.web; it is closed when the request ends, whichever
way. A file has no name (it is gone when the process is) and is written on a thread, since a disk that is slow for a moment must not hold up
the calls of others. When more than `AHEAD` bytes wait for it, the client is not read from.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from difyd.errors import StorageFailed

InThread = Callable[..., Deferred[Any]]
"""Calls a blocking function with its arguments on a thread, as `difyd.store.threads.Threads.run` does."""

IN_MEMORY: Final = 1024 * 1024
"""Bytes of a body that may stay in memory; what is larger goes to a file."""
AHEAD: Final = 4 * 1024 * 1024
"""Bytes that may wait to be written to that file."""


@define(eq=False)
class Bodies:
    """Reads whole bodies, from a file on a thread."""

    _in_thread: InThread

    def at_once(self, request: IRequest) -> bytes | None:
        """All of the body when it is in memory; None when it has to be read. To be called once, as `read`."""
        return _read_blocking(taken(request)) if isinstance(request.content, BytesIO) else None

    async def read(self, request: IRequest) -> bytes:
        """
        All of the body; without a turn of the reactor when it is in memory.

        To be called once: what held the body is given back, since a call may stay open for long after it has read it.
        """
        content = taken(request)
        if isinstance(content, BytesIO):
            return _read_blocking(content)
        whole: bytes = await self._in_thread(_read_blocking, content)
        return whole


def taken(request: IRequest) -> IO[bytes]:
    """
    The body of `request`, which from now on belongs to the caller, who closes it.

    The request itself would close it when the client goes away, and a thread that reads on would find another file under its number.
    """
    content: IO[bytes] = request.content
    request.content = BytesIO()
    return content


@define(eq=False)
class Intake:
    """
    The body of one request while it comes in.

    `length` is what the head announced, None for a body in chunks; `limit` what the route takes.
    """

    length: int | None
    limit: int
    _spool: Callable[[], "SpoolFile"]
    _received: int = field(default=0, init=False)
    _content: BytesIO | None = field(default=None, init=False)
    _file: "SpoolFile | None" = field(default=None, init=False)

    def take(self, data: bytes) -> bool:
        """The next piece. False when there is more than the limit by now; then the intake is closed and takes nothing more."""
        self._received += len(data)
        if self._received > self.limit:
            self.close()
            return False
        if self._file is not None:
            self._file.write(data)
        elif self._received > IN_MEMORY:
            self._file = self._spool()
            if self._content is not None:
                self._file.write(self._content.getvalue())
                self._content = None
            self._file.write(data)
        elif self._content is None:
            self._content = BytesIO(data)  # shares the bytes until more comes, which for small bodies it never does
            self._content.seek(0, 2)
        else:
            self._content.write(data)
        return True

    def done(self) -> "BytesIO | Deferred[IO[bytes]]":
        """All has come: what holds it, at once when that is memory."""
        if self._file is not None:
            return self._file.done()
        content = self._content or BytesIO()
        content.seek(0)
        return content

    def close(self) -> None:
        """Nobody wants the body any more."""
        self._content = None
        if self._file is not None:
            self._file.close()


@define(eq=False)
class SpoolFile:
    """
    A body on its way into a file, written piece after piece on a thread: each time all that has come in meanwhile.

    `pause` and `resume` act on the client's connection, and may be called more often than they have an effect.
    """

    log = Logger()
    _in_thread: InThread
    _directory: Path
    _pause: Callable[[], None]
    _resume: Callable[[], None]
    _file: IO[bytes] | None = field(default=None, init=False)
    _waiting: bytearray = field(factory=bytearray, init=False)
    _writing: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)
    _failure: StorageFailed | None = field(default=None, init=False)
    _done: "Deferred[IO[bytes]] | None" = field(default=None, init=False)

    def write(self, data: bytes) -> None:
        """Never waits. After a failure, which `done` reports, what comes is dropped."""
        if self._closed or self._failure is not None:
            return
        self._waiting += data
        if not self._writing:
            self._write()
        elif len(self._waiting) > AHEAD:
            self._pause()

    def done(self) -> "Deferred[IO[bytes]]":
        """After the last `write`, once: fires with the file, positioned at its start, when all is written; fails with StorageFailed."""
        self._done = Deferred()
        done = self._done
        if not self._writing:
            self._report()
        return done

    def close(self) -> None:
        """Give the file up."""
        self._closed = True
        self._waiting.clear()
        if not self._writing and self._file is not None:
            self._in_thread(self._file.close).addErrback(self._not_closed)
            self._file = None

    def _write(self) -> None:
        self._writing = True
        data, self._waiting = self._waiting, bytearray()
        self._in_thread(_append_blocking, self._file, self._directory, data).addCallbacks(self._written, self._broken)

    def _written(self, file: IO[bytes]) -> None:
        self._file, self._writing = file, False
        if self._closed:
            self.close()
        elif self._waiting:
            self._write()
            self._resume()
        else:
            self._resume()
            self._report()

    def _broken(self, failure: Failure) -> None:
        self._writing = False
        self.log.error("a request body could not be kept: {why}", why=failure.getErrorMessage())
        self._failure = StorageFailed(f"the body of the request could not be kept: {failure.getErrorMessage()}")
        self.close()
        self._resume()
        self._report()

    def _report(self) -> None:
        done, self._done = self._done, None
        if done is None or done.called:
            return
        if self._failure is not None:
            done.errback(self._failure)
        elif self._file is not None:
            self._file.seek(0)
            done.callback(self._file)

    def _not_closed(self, failure: Failure) -> None:
        self.log.warn("a temporary file could not be closed: {why}", why=failure.getErrorMessage())


def _read_blocking(content: IO[bytes]) -> bytes:
    with content:
        return content.read()


def _append_blocking(file: IO[bytes] | None, directory: Path, data: bytearray) -> IO[bytes]:
    """The file, made when there is none yet."""
    if file is None:
        file = TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115  its life is the request's
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    return file
