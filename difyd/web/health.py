"""Is the daemon there, and may it be sent work? (http-api 17, configuration 6)"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from attrs import define, field, frozen
from klein import Klein

from difyd.web.request import Request
from difyd.web.traffic import Traffic

CHECK: Final = b"/health/check"


@frozen
class Build:
    """What runs here."""

    version: str
    time: str
    """When it was built, or started where nobody recorded that."""
    platform: str
    """`local` or `serverless`."""


@define(eq=False)
class Health:
    """
    Two answers that never wait for anything.

    `busy`: running background jobs and streams, of `pool` (`ROUTINE_POOL_SIZE`). `launching`: plugins that are being started. `checks`: by
    name (database, cache, storage), whether the last that was heard of that part was good.
    """

    _build: Build
    _traffic: Traffic
    _pool: int
    _busy: Callable[[], int]
    _launching: Callable[[], int]
    _checks: Mapping[str, Callable[[], bool]]
    started: bool = field(default=False, init=False)

    app = Klein()

    def begin(self) -> None:
        """Every part of the daemon has started."""
        self.started = True

    @app.route("/health/check", methods=["GET"])
    async def check(self, request: Request) -> bytes:
        """
        200 while the process serves, 503 once it is told to end: nothing more should be sent here.

        Other nodes look for `status` within half a second.
        """
        if self._traffic.closing:
            request.setResponseCode(503)
        busy = min(self._busy(), self._pool)
        return msgspec.json.encode(
            {
                "status": "draining" if self._traffic.closing else "ok",
                "pool_status": {"free": self._pool - busy, "busy": busy, "total": self._pool},
                "version": self._build.version,
                "build_time": self._build.time,
                "platform": self._build.platform,
                "active_requests": self._traffic.active,
                "active_dispatch_requests": self._traffic.calls,
            }
        )

    @app.route("/health/ready", methods=["GET"])
    async def ready(self, request: Request) -> bytes:
        """503 until the daemon has started, while a part that it needs is broken, and from the moment it is told to end."""
        parts = {name: good() for name, good in self._checks.items()}
        status = "draining" if self._traffic.closing else "starting" if not self.started else "ready" if all(parts.values()) else "degraded"
        if status != "ready":
            request.setResponseCode(503)
        return msgspec.json.encode({"status": status, **parts, "plugins_launching": self._launching()})
