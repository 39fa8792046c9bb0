"""Paths find their routes."""

from hypothesis import given
from hypothesis import strategies as st
from klein import Klein
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from difyd.web.request import Request
from difyd.web.routes import LONGEST_PATH, BodyLimit, Group, Mount, Routes, Unrouted


class Many:
    """Patterns of every kind that the daemon has."""

    app = Klein()

    @app.route("/plugin/<tenant>/management/list", methods=["GET"])
    @app.route("/plugin/<tenant>/management/tools", methods=["GET"])
    @app.route("/plugin/<tenant>/management/<category>/list", methods=["GET"], endpoint="category")
    @app.route("/plugin/<tenant>/management/install/tasks/<task>", methods=["GET"], endpoint="task")
    @app.route("/plugin/<tenant>/management/install/tasks/<task>/delete/<path:plugin>", methods=["POST"], endpoint="entry")
    @app.route("/plugin/<tenant>/extract-asset/", methods=["GET"], endpoint="slash")
    @app.route("/v2/invoke/dispatch/tool/invoke", methods=["POST"], endpoint="fixed")
    async def all(self, request: Request, **parameters: str) -> None: ...


class RoutesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.many = Many()
        self.group = Group(self.many, limits={"fixed": BodyLimit(7)})
        self.routes = Routes.of([self.group], [Mount(b"/e/", Resource(), frozenset((b"GET", b"PUT")), "/e/:hook_id/*path", BodyLimit(9))])

    def found(self, method: bytes, path: bytes) -> tuple[str, dict[str, str]] | None:
        found = self.routes.find(method, path)
        return None if found is None else (found[0].label, found[1])

    def test_patterns(self) -> None:
        """Every kind of pattern is found, with the parameters of its path, and under the name that metrics know."""
        for method, path, label, parameters in (
            (b"GET", b"/plugin/t/management/list", "/plugin/:tenant_id/management/list", {"tenant": "t"}),
            (b"GET", b"/plugin/t/management/tool/list", "/plugin/:tenant_id/management/:category/list", {"tenant": "t", "category": "tool"}),
            (b"POST", b"/v2/invoke/dispatch/tool/invoke", "/v2/invoke/dispatch/tool/invoke", {}),
            (
                b"POST",
                b"/plugin/t/management/install/tasks/7/delete/a/b:1@c",
                "/plugin/:tenant_id/management/install/tasks/:id/delete/*identifier",
                {"tenant": "t", "task": "7", "plugin": "a/b:1@c"},
            ),
            (b"PUT", b"/e/hook//%FF" + b"x" * LONGEST_PATH, "/e/:hook_id/*path", {}),
        ):
            self.assertEqual(self.found(method, path), (label, parameters))

    def test_slash_at_the_end(self) -> None:
        """It makes no difference, whichever way a route was declared."""
        for path in (b"/plugin/t/management/list", b"/plugin/t/management/tool/list", b"/plugin/t/extract-asset"):
            self.assertIsNotNone(self.found(b"GET", path))
            self.assertEqual(self.found(b"GET", path), self.found(b"GET", path + b"/"))

    def test_encoded(self) -> None:
        """A path is read decoded: an encoded slash is one, an encoded letter is that letter."""
        self.assertEqual(self.found(b"GET", b"/plugin/%74%2fmanagement/l%69st"), ("/plugin/:tenant_id/management/list", {"tenant": "t"}))

    def test_nowhere(self) -> None:
        """Other methods, other paths, empty tenants, double slashes and bytes that are no text lead nowhere."""
        for method, path in (
            (b"POST", b"/plugin/t/management/list"),
            (b"get", b"/plugin/t/management/list"),
            (b"GET", b"/plugin//management/list"),
            (b"GET", b"/plugin/t//management/list"),
            (b"GET", b"/plugin/t/management/list//"),
            (b"GET", b"/plugin/t/management"),
            (b"GET", b"/plugin/%FF/management/list"),
            (b"GET", b"/plugin/t/management/%FF/list"),
            (b"\xff", b"/plugin/t/management/x/list"),
            (b"GET", b"/plugin/t/management/install/tasks/" + b"x" * LONGEST_PATH),
            (b"GET", b"*"),
            (b"GET", b""),
            (b"GET", b"http://h/plugin/t/management/list"),
            (b"PATCH", b"/e/hook/"),
        ):
            self.assertIsNone(self.found(method, path), path)

    @given(st.binary(max_size=10), st.binary(max_size=60))
    def test_anything(self, method: bytes, path: bytes) -> None:
        """No path and no method raises."""
        self.routes.find(method, path)

    def test_head(self) -> None:
        """What can be got can be asked about."""
        self.assertIsNotNone(self.found(b"HEAD", b"/plugin/t/management/list"))

    def test_limits(self) -> None:
        """A route has its group's limit, unless it has one of its own."""
        for method, path, size in ((b"POST", b"/v2/invoke/dispatch/tool/invoke", 7), (b"PUT", b"/e/x", 9)):
            found = self.routes.find(method, path)
            assert found is not None
            self.assertEqual(found[0].limit.size, size)

    def test_first_group_first(self) -> None:
        """Groups may have patterns in common; each path belongs to one route."""
        both = Routes.of([Group(Unrouted()), self.group])
        self.assertIsNotNone(both.find(b"GET", b"/plugin/t/management/install/tasks/7"))
