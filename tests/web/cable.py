"""
A client without a network: the real site on a memory transport, bytes in and bytes out.

The transport also plays the part of a socket that is full, half closed, or gone.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field
from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from difyd.telemetry.metrics import Metrics, NoMetrics
from difyd.web.app import make_site
from difyd.web.auth import Key
from difyd.web.body import InThread
from difyd.web.channel import Channel
from difyd.web.request import Request
from difyd.web.routes import BodyLimit, Group, Mount, Part
from difyd.web.site import Site
from difyd.web.traffic import Traffic

KEY = b"the key of the server"
TENANT = "4c9c3a2e-0d5e-4a87-9d0a-6c0b2a4f1e11"
LIMIT = 100_000


class Socket(StringTransport):
    """The server's end of a connection."""

    half_closed = False

    def __init__(self) -> None:
        super().__init__(hostAddress=IPv4Address("TCP", "127.0.0.1", 5002), peerAddress=IPv4Address("TCP", "10.0.0.9", 40000))
        directlyProvides(self, ITCPTransport)

    def setTcpNoDelay(self, on: bool) -> None: ...

    def loseWriteConnection(self) -> None:
        self.half_closed = True


@define(eq=False)
class Cable:
    """One connection to a site."""

    site: Site
    socket: Socket = field(factory=Socket, init=False)
    channel: Channel = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.channel = self.site.buildProtocol(IPv4Address("TCP", "10.0.0.9", 40000))
        self.channel.makeConnection(self.socket)

    def send(self, *pieces: bytes) -> bytes:
        """What has been answered when all pieces are sent, and was not read before."""
        for piece in pieces:
            self.channel.dataReceived(piece)
        return self.read()

    def read(self) -> bytes:
        answer: bytes = self.socket.value()
        self.socket.clear()
        return answer

    def hang_up(self) -> None:
        self.channel.connectionLost(Failure(ConnectionLost()))


@define(eq=False)
class Threads:
    """A thread that works when it is told to; `difyd.store.threads.Threads.run` for tests."""

    waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = field(factory=list, init=False)

    def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred(lambda _: None)
        self.waiting.append((done, lambda: work(*args, **kwargs)))
        return done

    def work(self) -> None:
        """Do the next thing that waits."""
        done, call = self.waiting.pop(0)
        execute(call).addBoth(lambda result: None if done.called else done.callback(result))


@define(eq=False)
class Parrot:
    """Routes that say what reached them, and wait where they are told to."""

    seen: list[tuple[str, bytes]] = field(factory=list, init=False)
    """Tenant and body of each call."""
    open: list[Deferred[bytes | None]] = field(factory=list, init=False)
    """Calls of `wait` that nobody has ended."""
    gone: list[str] = field(factory=list, init=False)
    """Tenants whose call was cancelled."""

    app = Klein()

    @app.route("/plugin/<tenant>/dispatch/say", methods=["POST"])
    async def say(self, request: Request, tenant: str) -> bytes:
        body = request.content.read()
        self.seen.append((tenant, body))
        return body

    @app.route("/plugin/<tenant>/dispatch/wait", methods=["POST"])
    async def wait(self, request: Request, tenant: str) -> bytes | None:
        d: Deferred[bytes | None] = Deferred(lambda _: self.gone.append(tenant))
        self.open.append(d)
        return await d

    @app.route("/plugin/<tenant>/things/<thing>", methods=["GET"])
    async def thing(self, request: Request, tenant: str, thing: str) -> bytes:
        return b'{"thing":"%b"}' % thing.encode()

    @app.route("/open", methods=["GET"])
    async def public(self, request: Request) -> bytes:
        return b"{}"


def site_of(
    *groups: Group,
    clock: Clock | None = None,
    traffic: Traffic | None = None,
    mounts: Iterable[Mount] = (),
    in_thread: InThread = execute,
    directory: Path = Path("/nonexistent"),
    metrics: Metrics | None = None,
) -> Site:
    clock = clock or Clock()
    return make_site(clock, groups, mounts, traffic or Traffic(metrics or NoMetrics()), in_thread, directory, clock.seconds)


def guarded(part: Part, **more: Any) -> Group:
    return Group(part, **{"key": Key("X-Api-Key", KEY), "limit": BodyLimit(LIMIT), **more})


def post(path: str, body: bytes = b"", *fields: str, key: bytes | None = KEY, version: str = "1.1") -> bytes:
    """A request with a body of known length."""
    lines = [f"POST {path} HTTP/{version}", "Host: h", f"Content-Length: {len(body)}", *fields]
    if key is not None:
        lines.append(f"X-Api-Key: {key.decode('latin-1')}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: h", f"X-Api-Key: {KEY.decode()}", *fields]).encode("latin-1") + b"\r\n\r\n"


SAY = f"/plugin/{TENANT}/dispatch/say"
WAIT = f"/plugin/{TENANT}/dispatch/wait"


def status(answer: bytes) -> int:
    """Of the first answer."""
    return int(answer.split(b" ", 2)[1])


def parts(answer: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body, still framed, of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    _, *lines = head.split(b"\r\n")
    return status(answer), dict(line.lower().split(b": ", 1) for line in lines), body
