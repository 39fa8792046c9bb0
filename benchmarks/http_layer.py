"""
What HTTP alone costs in a small call: our site with its routes, key, access log; and Klein on twisted.web as it comes, with as many routes.

    python http_layer.py               measures both
    python http_layer.py serve NAME    is one of the servers: prints its port, until its standard input ends
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from klein import Klein
from twisted.internet import endpoints, reactor, stdio
from twisted.internet.defer import execute
from twisted.internet.protocol import Protocol
from twisted.logger import globalLogBeginner
from twisted.web import server
from twisted.web.http import Request

from difyd.invoke.actions import ACTIONS
from difyd.telemetry.lines import Clockface, TextForm
from difyd.telemetry.log import LineLog, StreamSink
from difyd.telemetry.metrics import NoMetrics
from difyd.web.app import make_site
from difyd.web.auth import Key
from difyd.web.body import Bodies
from difyd.web.routes import Group
from difyd.web.site import begin_events
from difyd.web.traffic import Traffic
from harness import KEY, TENANT, Server, hammer, report

EVENT = b'data: {"code":0,"message":"success","data":{"type":"text","message":{"text":"a"},"meta":null}}\n\n'


class Ours:
    app = Klein()

    def __init__(self) -> None:
        self.bodies = Bodies(execute)

    async def call(self, request: Request, tenant: str) -> None:
        await self.bodies.read(request)
        begin_events(request)
        request.write(EVENT)


class Theirs:
    app = Klein()

    async def call(self, request: Request, tenant: str) -> None:
        request.content.read()
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(EVENT)


for _action in ACTIONS:
    for _kind in (Ours, Theirs):
        _kind.app.route(f"/plugin/<tenant>/dispatch/{_action.path}", methods=["POST"], endpoint=_action.path)(_kind.call)


class UntilEnd(Protocol):
    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()


def serve(name: str) -> None:
    from datetime import UTC

    log = LineLog(TextForm(Clockface(UTC)), 20, [StreamSink(open("/dev/null", "wb"))])  # noqa: SIM115  for the life of the process
    globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
    if name == "ours":
        traffic = Traffic(NoMetrics())
        site: server.Site = make_site(reactor, [Group(Ours(), Key("X-Api-Key", KEY.encode()))], [], traffic, execute, Path("/nonexistent"))
    else:
        site = server.Site(Theirs().app.resource())
    stdio.StandardIO(UntilEnd())
    listening = endpoints.serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(site)
    listening.addCallback(lambda port: print(port.getHost().port, flush=True))
    reactor.run()


@contextlib.contextmanager
def started(name: str) -> Iterator[Server]:
    with subprocess.Popen([sys.executable, __file__, "serve", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(name, int(process.stdout.readline()), psutil.Process(process.pid))
        process.stdin.close()


def measure(server: Server) -> dict[str, float]:
    request = (
        f"POST /plugin/{TENANT}/dispatch/tool/invoke HTTP/1.1\r\nHost: 127.0.0.1:5002\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\n"
        f"X-Api-Key: {KEY}\r\nX-Plugin-ID: difyd/workload\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    ).encode()
    asyncio.run(hammer(server, request, 8, 1))  # warm
    before = server.cpu()
    answers = asyncio.run(hammer(server, request, 8, 5))
    return {"CPU µs per request": (server.cpu() - before) / len(answers) * 1e6}


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        with started("ours") as one, started("klein") as other:
            report("A request, without any call behind it", {server.name: measure(server) for server in (one, other)})
