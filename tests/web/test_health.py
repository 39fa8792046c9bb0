"""Health and readiness: what they say, and that they wait for nothing."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from difyd.telemetry.metrics import NoMetrics
from difyd.web.health import Build, Health
from difyd.web.routes import Group
from difyd.web.traffic import Traffic
from tests.web.cable import WAIT, Cable, Parrot, get, guarded, parts, post, site_of


class HealthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.busy = 10
        self.good = {"database": True, "cache": True, "storage": True}
        self.traffic = Traffic(NoMetrics())
        checks = {name: lambda name=name: self.good[name] for name in self.good}
        build = Build("0.6.10", "2026-08-21T08:40:02+0000", "local")
        self.health = Health(build, self.traffic, 10_000, lambda: self.busy, lambda: 2, checks)
        self.site = site_of(guarded(Parrot()), Group(self.health, open_to_the_end=True), traffic=self.traffic)
        self.cable = Cable(self.site)

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        code, _, body = parts(self.cable.send(get(path)))
        return code, json.loads(body)

    def test_check(self) -> None:
        """The keys that peers and dashboards read, exactly; this request is one of those that are active (configuration 6)."""
        other = Cable(self.site)
        other.send(post(WAIT))
        code, told = self.ask("/health/check")
        self.assertEqual(code, 200)
        self.assertEqual(
            told,
            {
                "active_dispatch_requests": 1,
                "active_requests": 2,
                "build_time": "2026-08-21T08:40:02+0000",
                "platform": "local",
                "pool_status": {"free": 9990, "busy": 10, "total": 10000},
                "status": "ok",
                "version": "0.6.10",
            },
        )

    def test_more_than_the_pool(self) -> None:
        """What is more than the pool's nominal size does not make a negative number."""
        self.busy = 20_000
        self.assertEqual(self.ask("/health/check")[1]["pool_status"], {"free": 0, "busy": 10_000, "total": 10_000})

    def test_needs_no_key(self) -> None:
        """Peers and load balancers have none."""
        self.assertEqual(parts(self.cable.send(b"GET /health/check HTTP/1.1\r\nHost: h\r\n\r\n"))[0], 200)

    def test_ready(self) -> None:
        """Ready is 200, and says what was looked at."""
        self.health.started = True
        told = {"status": "ready", "database": True, "cache": True, "storage": True, "plugins_launching": 2}
        self.assertEqual(self.ask("/health/ready"), (200, told))

    def test_not_ready(self) -> None:
        """Before the start, while a part is broken and during the end it is 503; at the end nobody is told that all is well."""
        self.assertEqual((self.ask("/health/ready")[0], self.ask("/health/ready")[1]["status"]), (503, "starting"))
        self.health.started, self.good["database"] = True, False
        code, told = self.ask("/health/ready")
        self.assertEqual((code, told["status"], told["database"], told["cache"]), (503, "degraded", False, True))
        self.good["database"] = True
        self.traffic.close()
        self.assertEqual((self.ask("/health/ready")[0], self.ask("/health/ready")[1]["status"]), (503, "draining"))
        self.assertEqual((self.ask("/health/check")[0], self.ask("/health/check")[1]["status"]), (503, "draining"))
