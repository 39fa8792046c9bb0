"""Requests are counted, logged once, and waited for."""

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.pages import notFound

from difyd.errors import PluginNotFound
from difyd.telemetry.metrics import NoMetrics
from difyd.web.routes import Mount
from difyd.web.traffic import Traffic, trace_of
from tests.web.cable import KEY, SAY, TENANT, WAIT, Cable, Parrot, get, guarded, post, site_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@define(eq=False)
class Counted(NoMetrics):
    """Remembers what was counted."""

    requests: list[tuple[str, str, int, float]] = field(factory=list)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        self.requests.append((method, endpoint, status, seconds))


class TrafficTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.metrics = Counted()
        self.clock = Clock()
        self.parrot = Parrot()
        self.traffic = Traffic(self.metrics, quiet=frozenset((b"/open",)))
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        self.cable = Cable(site_of(guarded(self.parrot), traffic=self.traffic, clock=self.clock))

    def observe(self, event: dict[str, Any]) -> None:
        if event["log_namespace"] == "difyd.web.traffic.Traffic":
            self.events.append(event)

    def test_one_line(self) -> None:
        """A request is one line and one count when it is over, with what operators look for."""
        self.cable.send(post(WAIT, b"", "X-User-ID: u1", "X-User-Type: end_user", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01"))
        self.assertEqual(self.events, [])
        self.clock.advance(0.25)
        self.parrot.open[0].callback(b"{}")
        (event,) = self.events
        self.assertEqual(event["log_format"], "HTTP request")
        told = {"trace": TRACE, "tenant": TENANT, "user": "u1", "method": "POST", "path": WAIT, "status": 200, "latency_ms": 250}
        told |= {"client_ip": "10.0.0.9", "user_type": "end_user", "span": "00f067aa0ba902b7"}
        self.assertEqual({name: event[name] for name in told}, told)
        self.assertEqual(self.metrics.requests, [("POST", "/plugin/:tenant_id/dispatch/wait", 200, 0.25)])

    def test_levels(self) -> None:
        """Refusals are warnings, failures of ours errors."""
        self.cable.send(post(SAY, b"x"), post(SAY, b"x", key=None), post("/nowhere"))
        self.assertEqual([event["log_level"] for event in self.events], [LogLevel.info, LogLevel.warn, LogLevel.warn])

    def test_quiet(self) -> None:
        """Some paths are counted and not logged."""
        self.cable.send(get("/open"))
        self.assertEqual((self.events, len(self.metrics.requests)), ([], 1))

    def test_unknown_route(self) -> None:
        """An unknown path is counted under no name: paths are made up by clients."""
        self.cable.send(get("/made/up"))
        self.assertEqual(self.metrics.requests[0][1], "")

    def test_secrets_in_the_query(self) -> None:
        """Values that look like secrets stay out of the log, and no key does get in."""
        self.cable.send(get("/nowhere?page=1&api_key=abc&Token=def&code=ghi&x=y"))
        self.assertEqual(self.events[0]["path"], "/nowhere?page=1&api_key=***&Token=***&code=***&x=y")
        self.assertNotIn(KEY.decode(), str(self.events))

    def test_encoded_secret(self) -> None:
        """A name that is percent-encoded is the same name."""
        self.cable.send(get("/nowhere?%74oken=abc&a=1"))
        self.assertEqual(self.events[0]["path"], "/nowhere?%74oken=***&a=1")

    def test_hooks(self) -> None:
        """What is meant for a plugin may be secret whatever its name: of the query of a hook the names are logged."""
        mount = Mount(b"/e/", notFound(), frozenset((b"GET",)), "/e/:hook_id/*path")
        Cable(site_of(mounts=[mount], traffic=self.traffic)).send(get("/e/h/a?state=abc&x=1&flag&y="))
        self.assertEqual(self.events[0]["path"], "/e/h/a?state=***&x=***&flag&y=")

    def test_long_and_odd(self) -> None:
        """A path of a megabyte does not become a line of a megabyte, and bytes that are no text do not cost the line."""
        self.cable.send(get("/nowhere?" + "key" * 200_000, "X-User-ID: \xff"))
        (event,) = self.events
        self.assertLessEqual(len(event["path"]), 2048)

    def test_error(self) -> None:
        """Why a handler refused a request is told by the name of the error, not by its text."""
        self.cable.send(post(WAIT))
        self.parrot.open[0].errback(PluginNotFound("a secret"))
        (event,) = self.events
        self.assertEqual(event["error"], "PluginNotFound")
        self.assertNotIn("a secret", str(event))

    def test_disconnected(self) -> None:
        """A client that goes away is an end like any other, counted once."""
        self.cable.send(post(WAIT))
        self.assertEqual((self.traffic.active, self.traffic.calls), (1, 1))
        self.cable.hang_up()
        self.assertEqual((self.traffic.active, self.traffic.calls, len(self.events)), (0, 0, 1))

    def test_disconnected_in_the_body(self) -> None:
        """Also before its body was complete."""
        self.cable.send(post(SAY, b"x" * 100)[:-1])
        self.cable.hang_up()
        self.assertEqual((self.traffic.active, len(self.events)), (0, 1))

    def test_idle(self) -> None:
        """Idle is when the last request is over; who no longer waits is forgotten."""
        self.successResultOf(self.traffic.idle())
        self.cable.send(post(WAIT))
        waiting, impatient = self.traffic.idle(), self.traffic.idle()
        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        self.assertNoResult(waiting)
        self.parrot.open[0].callback(b"")
        self.successResultOf(waiting)

    def test_trace(self) -> None:
        """A broken traceparent is replaced by an id of ours, which stays the same for the request (http-api 18)."""
        for header in ("garbage", f"01-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01"):
            self.cable.send(get("/nowhere", f"traceparent: {header}"))
        traces = [event["trace"] for event in self.events]
        self.assertEqual(len(set(traces)), 4)
        self.assertTrue(all(len(trace) == 32 and int(trace, 16) and trace != TRACE for trace in traces))
        self.cable.send(post(WAIT))
        request = self.cable.channel.requests[0]
        self.assertEqual(trace_of(request), trace_of(request))
        self.assertRegex(trace_of(request), "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
