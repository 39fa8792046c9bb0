"""
Blobs: packages, icons and plugin data under keys (state-and-cluster 10, package-format 2.6).

A key is a relative path with `/` between its parts; `:` and `@` stand in it as they are. The layout is the reference's, so that either
daemon finds what the other one wrote:

    plugin_packages/acme/weather:1.2.0@8f4b…     the package as uploaded
    plugin/acme/weather:1.2.0@8f4b…              the same bytes, installed
    assets/<64 hex>.svg                          an icon
    persistence/<tenant>/acme/weather/<key>      a value of a plugin
"""

import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import Attribute, Interface, implementer

from difyd.errors import BadRequest, StorageFailed
from difyd.store.threads import Threads
from difyd.telemetry.metrics import Metrics, NoMetrics

P = ParamSpec("P")
T = TypeVar("T")

_OUTSIDE: Final = re.compile(r"(?:^|/)(?:\.{0,2}|\.difyd[^/]*)(?:/|\Z)|[\\\0]")
"""A part that is empty, `.`, `..` or the store's own; a backslash; a NUL."""
_PROBE: Final = bytes(4096)
"""More than a file system keeps in its directories."""


class BlobMissing(StorageFailed):
    """There is nothing under a key that was to be read. Raised by every store; who asks for an icon answers 404."""

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing is stored under {key}")


class UnfitKey(StorageFailed):
    """The place has no room for a value under such a key: the fault is the key's, or another key's, and none of the place."""


class BadKey(BadRequest):
    """A key that leads out of the store. The text is one of the wire (backwards-invocation 8.1)."""

    def __init__(self) -> None:
        super().__init__("invalid key: path traversal attempt detected")


def check_key(key: str) -> str:
    """
    The key itself. Raises BadKey unless it is a relative path in its shortest form.

    No backslash, no NUL, no lone surrogate; names that begin with `.difyd` are the store's own.
    """
    if not key or _OUTSIDE.search(key):
        raise BadKey
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError as why:
            raise BadKey from why
    return key


class IBlobs(Interface):
    """
    The blob store as the reactor thread sees it: one thread hop per operation.

    All of them raise BadKey (see `check_key`), and StorageFailed with the cause when the store cannot be asked: "no" is never a guess.
    Cancelling gives up the answer; a write that has begun is finished.
    """

    async def read(key: str) -> bytes:
        """All of the blob. Raises BlobMissing."""

    async def write(key: str, data: bytes) -> None:
        """Store `data`, replacing what was there. The blob appears whole or not at all, and survives a power failure once this returns."""

    async def write_file(key: str, source: Path) -> None:
        """As `write`, with the bytes of a file, which stays as it is. Not held in memory."""

    async def fetch(key: str, destination: Path) -> None:
        """Write the blob to the file `destination`, replacing it. Raises BlobMissing; then there is no such file."""

    async def copy(source: str, target: str) -> None:
        """As `write`, with the bytes of another blob. Raises BlobMissing."""

    async def exists(key: str) -> bool:
        """Is there a blob under this key? A directory is none."""

    async def size(key: str) -> int | None:
        """Its bytes, None when there is no such blob."""

    async def delete(key: str) -> bool:
        """Remove it; False when there was nothing."""

    async def list(prefix: str) -> list[str]:
        """
        The keys of all blobs below the directory `prefix`, relative to it, sorted; hidden names (leading `.`) left out.

        Empty when there is no such directory.
        """


class IStaged(Interface):
    """A value on its way into a store."""

    def commit_blocking(*, lasting: bool = True) -> None:
        """
        Put it in place, whole. Raises StorageFailed; then it is forgotten.

        With `lasting` it survives a power failure once this returns; without it a power failure may bring the old value back, whole.
        """

    def discard_blocking() -> None:
        """Forget it. Does not raise, and does nothing to what is in place."""


class IObjects(Interface):
    """
    A place for blobs, as a thread sees it: the local file system, a bucket. Errors and promises as for IBlobs.

    Safe to be used by several threads at once; of two writers of one key the later wins.
    """

    kind: str = Attribute("`local`, `s3`, ...: the label in metrics.")

    def open_blocking() -> None:
        """Once, before anything else: make sure that the place can be used, clear away what a killed daemon left half-written."""

    def read_blocking(key: str) -> bytes: ...

    def write_file_blocking(key: str, source: Path) -> None: ...

    def fetch_blocking(key: str, destination: Path) -> None: ...

    def copy_blocking(source: str, target: str) -> None: ...

    def size_blocking(key: str) -> int | None: ...

    def delete_blocking(key: str) -> bool: ...

    def list_blocking(prefix: str) -> list[str]: ...

    def stage_blocking(key: str, data: bytes) -> IStaged:
        """Do the slow part of a write (local: beside its place, synced), so that the rest can be done inside a database transaction."""


@define(eq=False)
class Counted:
    """Counts operations by the name that IBlobs has for them (configuration 7); their time is the one that a caller waits."""

    _kind: str
    _metrics: Metrics = field(factory=NoMetrics)
    _now: Callable[[], float] = time.monotonic

    async def run(self, operation: str, work: Awaitable[T]) -> T:
        """What `work` gives or raises."""
        began, status = self._now(), "error"
        try:
            result = await work
            status = "success"
            return result
        except BlobMissing:
            status = "missing"
            raise
        except BadRequest:
            status = "refused"
            raise
        except CancelledError:
            status = "canceled"
            raise
        finally:
            self._metrics.stored(operation, self._kind).ended(status, self._now() - began)


@implementer(IBlobs)
class Blobs(Service):
    """Any place for blobs, on threads of its own."""

    def __init__(self, objects: IObjects, threads: Threads, counted: Counted | None = None) -> None:
        self.objects = objects
        self._counted = counted or Counted(objects.kind)
        self._threads = threads

    async def read(self, key: str) -> bytes:
        return await self._run("read", self.objects.read_blocking, key)

    async def write(self, key: str, data: bytes) -> None:
        await self._run("write", self._write_blocking, key, data)

    async def write_file(self, key: str, source: Path) -> None:
        await self._run("write_file", self.objects.write_file_blocking, key, source)

    async def fetch(self, key: str, destination: Path) -> None:
        await self._run("fetch", self.objects.fetch_blocking, key, destination)

    async def copy(self, source: str, target: str) -> None:
        await self._run("copy", self.objects.copy_blocking, source, target)

    async def exists(self, key: str) -> bool:
        return await self.size(key) is not None

    async def size(self, key: str) -> int | None:
        return await self._run("size", self.objects.size_blocking, key)

    async def delete(self, key: str) -> bool:
        return await self._run("delete", self.objects.delete_blocking, key)

    async def list(self, prefix: str) -> list[str]:
        return await self._run("list", self.objects.list_blocking, prefix)

    async def probe(self) -> None:
        """Write something that nobody will see. Raises StorageFailed."""
        await self._threads.run(self._probe_blocking)

    def startService(self) -> Deferred[None]:
        """Fires when the place can be used. Fails with StorageFailed."""
        Service.startService(self)
        self._threads.startService()
        return self._threads.run(self.objects.open_blocking)

    def stopService(self) -> Deferred[None]:
        """Lets running operations end."""
        Service.stopService(self)
        return self._threads.stopService()

    async def _run(self, operation: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._counted.run(operation, self._threads.run(work, *args, **kwargs))

    def _write_blocking(self, key: str, data: bytes) -> None:
        self.objects.stage_blocking(key, data).commit_blocking()

    def _probe_blocking(self) -> None:
        self.objects.stage_blocking("probe", _PROBE).discard_blocking()
