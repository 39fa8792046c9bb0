"""GET /metrics/ (http-api 17): what a Prometheus server reads."""

# mypy: allow-untyped-calls

from collections.abc import Callable

from attrs import define
from klein import Klein

from difyd.web.body import InThread
from difyd.web.request import Request


@define(eq=False)
class MetricsPage:
    """`page` makes the text on a thread: with many plugins it takes a while."""

    _page: Callable[[], bytes]
    _content_type: str
    _in_thread: InThread

    app = Klein()

    @app.route("/metrics/", methods=["GET"])
    async def metrics(self, request: Request) -> bytes:
        page: bytes = await self._in_thread(self._page)
        request.setHeader("Content-Type", self._content_type)
        return page
