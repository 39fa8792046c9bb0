"""`/debug/pprof/`: the reference's paths, with what a Python process can tell (decision table). Only with PPROF_ENABLED and the key."""

from typing import Final

from attrs import define, frozen
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from difyd.telemetry.profiling import heap, profile, stacks
from difyd.web.params import bind, whole

LONGEST: Final = 300
"""Seconds of one profile."""
INDEX: Final = """goroutine           stacks of all threads, and the coroutines that wait
heap                what memory is used for
profile?seconds=30  where the time goes: collapsed stacks, for a flame graph
"""


@frozen
class Wanted:
    seconds: int = whole(1, LONGEST)


@define(eq=False)
class Profiling:
    _clock: IReactorTime

    app = Klein()

    @app.route("/debug/pprof/", methods=["GET"])
    async def index(self, request: Request) -> bytes:
        return _text(request, INDEX)

    @app.route("/debug/pprof/goroutine", methods=["GET"])
    async def stacks(self, request: Request) -> bytes:
        return _text(request, stacks())

    @app.route("/debug/pprof/heap", methods=["GET"])
    async def heap(self, request: Request) -> bytes:
        return _text(request, heap())

    @app.route("/debug/pprof/profile", methods=["GET"])
    async def profile(self, request: Request) -> bytes:
        seconds = bind(Wanted, request).seconds if b"seconds" in (request.args or {}) else 30
        return _text(request, await profile(self._clock, seconds))


def _text(request: Request, text: str) -> bytes:
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return text.encode()
