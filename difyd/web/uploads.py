"""Multipart uploads, taken apart on a thread from the file that holds the body."""

from pathlib import Path

from attrs import define, frozen
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from twisted.web.iweb import IRequest


@frozen
class Upload:
    """
    One uploaded file, and the text fields that came with it.

        async with await uploads.receive(request, "dify_pkg", limit) as upload:
            ...                                     # upload.path exists until the block is left, however it is left
    """

    path: Path
    filename: str
    size: int
    fields: dict[str, str]

    async def __aenter__(self) -> "Upload":
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Remove the file."""
        raise NotImplementedError


@define(eq=False)
class Uploads:
    """Takes uploads out of requests into files below `directory`."""

    _reactor: IReactorFromThreads
    _pool: ThreadPool
    _directory: Path

    async def receive(self, request: IRequest, name: str, limit: int) -> Upload:
        """
        The file in the part `name`, at most `limit` bytes.

        Raises BadRequest: not multipart, malformed, no such part, larger than `limit` (http-api 13.1). Cancelling leaves no file behind.
        """
        raise NotImplementedError
