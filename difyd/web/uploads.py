"""
Multipart uploads, taken apart on a thread from the file that holds the body (http-api 13.1).

The uploaded file is copied into one of its own: those who read packages want a path.
"""

from pathlib import Path
from threading import Event
from typing import IO, Any, Final, Self
from uuid import uuid4

from attrs import define, field, frozen
from multipart import MultipartError, PushMultipartParser, parse_options_header
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from difyd.errors import BadRequest, InternalError
from difyd.web.body import InThread, taken

TOO_LARGE: Final = "file size exceeds the maximum limit"
FRAME: Final = 256 * 1024
"""Bytes that an upload may have beside its file: part headers and text fields. A route's BodyLimit is the file's limit and this."""
PREFIX: Final = "upload-"
"""How the files are named, for whoever sweeps the directory."""
_MOST_PARTS: Final = 16
_MOST_TEXT: Final = 64 * 1024

log = Logger()


@frozen(eq=False)
class Upload:
    """
    One uploaded file, and the text fields that came with it.

        async with await uploads.receive(request, "dify_pkg", limit) as upload:
            ...                                     # upload.path exists until the block is left, however it is left
    """

    path: Path
    filename: str
    """As the client named it: fit for a message, not for a path."""
    size: int
    fields: dict[str, str]
    _in_thread: InThread = field(repr=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Remove the file, unless somebody has moved it away. Not awaited, so that it is done also when the call is being cancelled."""
        _remove(self._in_thread, self.path)


@define(eq=False)
class Uploads:
    """Takes uploads out of requests, into files in `directory`."""

    _in_thread: InThread
    _directory: Path

    async def receive(self, request: IRequest, name: str, limit: int) -> Upload:
        """
        The file in the part `name`, at most `limit` bytes.

        Raises BadRequest: not multipart, malformed, no such file, larger than `limit`; InternalError: it cannot be kept. Cancelling leaves no
        file behind.
        """
        kind, options = parse_options_header(request.getHeader("Content-Type") or "")
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not boundary:
            raise BadRequest(f"the request has no file '{name}': its body is not multipart/form-data with a boundary")
        path, given_up = self._directory / f"{PREFIX}{uuid4().hex}", Event()
        try:
            form: _Form = await self._in_thread(_extract_blocking, taken(request), boundary, name, limit, path, given_up)
        except CancelledError:
            given_up.set()  # the thread may be writing still; whoever comes later of the two removes the file
            _remove(self._in_thread, path)
            raise
        return Upload(path, form.filename, form.size, form.fields, self._in_thread)


@frozen
class _Form:
    filename: str
    size: int
    fields: dict[str, str]


def _extract_blocking(content: IO[bytes], boundary: str, name: str, limit: int, path: Path, given_up: Event) -> _Form:
    """Leaves the file at `path`, or raises BadRequest or InternalError and leaves none."""
    complete = False
    try:
        with content, path.open("xb") as file:
            form = _parse_blocking(content, boundary, name, limit, file)
        complete = not given_up.is_set()
        return form
    except MultipartError as why:
        raise BadRequest(f"the request is no valid multipart form: {why}") from why
    except OSError as why:
        raise InternalError(f"the uploaded file cannot be kept: {why}") from why
    finally:
        if not complete:
            path.unlink(missing_ok=True)


def _parse_blocking(content: IO[bytes], boundary: str, name: str, limit: int, file: IO[bytes]) -> _Form:
    """Of several parts of one name the first counts, as in the reference."""
    fields: dict[str, str] = {}
    filename: str | None = None
    size = 0
    with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
        part: Any = None  # a MultipartSegment; the package has no types
        text, ours = bytearray(), False
        for event in parser.parse_blocking(content.read, 256 * 1024):
            if event is None:
                if part is not None and part.filename is None:
                    fields.setdefault(part.name, text.decode("utf-8", "replace"))
            elif not isinstance(event, bytes | bytearray):
                part, text = event, bytearray()
                ours = part.name == name and part.filename is not None and filename is None
                if ours:
                    filename = part.filename
            elif part.filename is None:
                text += event
                if len(text) > _MOST_TEXT:
                    raise BadRequest(f"the field '{part.name}' of the form is too long: at most {_MOST_TEXT} bytes are accepted")
            elif ours:
                size += len(event)
                if size > limit:
                    raise BadRequest(TOO_LARGE)
                file.write(event)
    if filename is None:
        raise BadRequest(f"the form has no file '{name}'")
    return _Form(filename, size, fields)


def _remove(in_thread: InThread, path: Path) -> None:
    in_thread(path.unlink, missing_ok=True).addErrback(_not_removed, path)


def _not_removed(failure: Failure, path: Path) -> None:
    log.warn("the uploaded file {path} could not be removed: {why}", path=str(path), why=failure.getErrorMessage())
