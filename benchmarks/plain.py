"""
What the daemon is measured against: a plain `twisted.web` server that writes the same events by itself, without any plugin behind it.

    python plain.py      prints the port that it serves on, until its standard input ends
"""

import json
import sys
import time

from twisted.internet import endpoints, reactor, stdio, task
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


class Events(Resource):
    isLeaf = True

    def render_POST(self, request: Request) -> int:
        told = json.load(request.content)["data"]["tool_parameters"]
        request.setHeader(b"content-type", b"text/event-stream")
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        work = Deferred.fromCoroutine(self.answer(request, told["count"], told["size"], told["pause"]))
        gone.addBoth(lambda _: work.cancel())
        work.addErrback(lambda _: None)
        return NOT_DONE_YET

    async def answer(self, request: Request, count: int, size: int, pause: float) -> None:
        text = "x" * size
        for number in range(count):
            if pause and number:
                await task.deferLater(reactor, pause)
            chunk = {"type": "text", "message": {"text": text or str(time.time_ns())}, "meta": None}
            request.write(b"data: %b\n\n" % json.dumps({"code": 0, "message": "success", "data": chunk}).encode())
        request.finish()


class UntilEnd(Protocol):
    """The parent holds the other end of standard input: when it goes, so do we."""

    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()


def serving(port: object) -> None:
    print(port.getHost().port, flush=True)


stdio.StandardIO(UntilEnd())
endpoints.serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(Site(Events())).addCallback(serving)
reactor.run()
sys.exit(0)
