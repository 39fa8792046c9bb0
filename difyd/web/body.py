"""
Bodies of requests: in memory while they are small, in a temporary file beyond that.

`request.content` is a binary file object positioned at its start, as everywhere in twisted.web; it is closed, and a file removed, when the
request ends, whichever way.
"""

from attrs import define
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from twisted.web.iweb import IRequest

IN_MEMORY = 1024 * 1024
"""Bytes of a body that may stay in memory; what is larger goes to a file."""


@define(eq=False)
class Bodies:
    """Reads whole bodies, from a file on a thread."""

    _reactor: IReactorFromThreads
    _pool: ThreadPool

    async def read(self, request: IRequest) -> bytes:
        """All of the body; without a turn of the reactor when it is in memory."""
        raise NotImplementedError
