"""
Groups of routes, and how a path finds its route.

Routes are declared on Klein applications; a group adds what holds for all of them: key, size of bodies, how errors are shown. Paths without a
variable, or with none but the tenant (nearly all), are found in a dictionary made from those declarations, the others through Klein's own map.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol, Self
from urllib.parse import unquote_to_bytes

from attrs import define, field, frozen
from klein import Klein
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

from difyd.web.auth import Key
from difyd.web.envelope import Answer, TooLarge, answer

MIB: Final = 1024 * 1024
LONGEST_PATH: Final = 8192
"""No route of ours is longer, and taking a megabyte apart would take a while; what is mounted takes any."""
_SPELLED: Final = {"tenant": ":tenant_id", "task": ":id", "asset": ":id", "plugin": "*identifier"}
"""Parameters that the reference's router knows by another name."""
NO_ROUTE: Final = Answer(404, b'{"code":"not_found","message":"route not found"}')
"""For unknown paths and for known ones with another method, whoever asks (http-api 1)."""


@frozen
class BodyLimit:
    """How much body a route takes, and how it refuses more, if it can before it has been taken in."""

    size: int
    status: int = 413
    text: str = ""
    """The message of the -400 envelope; a sentence of ours when it is empty."""

    @property
    def refusal(self) -> Answer:
        return Answer(self.status, answer(TooLarge(self.size, self.text)).body)


SMALL: Final = BodyLimit(MIB)
"""For bodies that are bound to fields: they stay in memory."""


class Part(Protocol):
    """Has handlers, which are declared on its class."""

    @property
    def app(self) -> Klein: ...


class Unrouted:
    """Of what is mounted: a part without routes."""

    app = Klein()


@define(eq=False)
class Group:
    """
    The routes of one part.

    `limits` names, by endpoint (the handler's function name, unless it was declared otherwise), the routes whose limit differs from `limit`.
    """

    part: Part
    key: Key | None = None
    limit: BodyLimit = SMALL
    limits: Mapping[str, BodyLimit] = field(factory=dict)
    always_ok: bool = False
    """Errors that a handler raises have HTTP status 200, except InvalidRequest and bugs of ours (management, http-api 13)."""
    open_to_the_end: bool = False
    """Serves also while the daemon drains: health, metrics."""


@frozen
class Mount:
    """A plain resource that serves everything below a path, such as `/e/`: its `postpath` holds the rest."""

    path: bytes
    resource: IResource
    methods: frozenset[bytes]
    label: str
    limit: BodyLimit = SMALL


def _unserved(*_: Any, **__: Any) -> None:
    raise NotImplementedError("what is mounted is no handler")


@frozen(eq=False)
class Route:
    """One method of one path."""

    label: str
    """Its pattern as metrics show it: `/plugin/:tenant_id/dispatch/tool/invoke`."""
    limit: BodyLimit
    group: Group
    """Of a mounted resource one without handlers."""
    handler: Callable[..., Any] = _unserved
    """The function that was declared on Klein, bound to its part; takes the request and the parameters of the path."""
    mount: Mount | None = None
    """Set for what a plain resource serves."""
    is_call: bool = field(init=False)
    """Does it call a plugin, for the daemon's own figures?"""

    @is_call.default
    def _calls_plugin(self) -> bool:
        return "/dispatch/" in self.label


Found = tuple[Route, dict[str, str]]
"""A route and the parameters of its path."""
_Methods = dict[bytes, Route]


@define(eq=False)
class Routes:
    """All routes of the daemon."""

    _fixed: dict[bytes, _Methods] = field(factory=dict, init=False)
    _of_tenants: dict[bytes, _Methods] = field(factory=dict, init=False)
    """By what follows `/plugin/<tenant>/`."""
    _free: list[tuple[MapAdapter, Mapping[str, Route]]] = field(factory=list, init=False)
    _mounts: list[tuple[Mount, Route]] = field(factory=list, init=False)

    @classmethod
    def of(cls, groups: Iterable[Group], mounts: Iterable[Mount] = ()) -> Self:
        routes = cls()
        for group in groups:
            routes._add(group)
        for mount in mounts:
            route = Route(mount.label, mount.limit, Group(Unrouted()), mount=mount)
            routes._mounts.append((mount, route))
        return routes

    def find(self, method: bytes, path: bytes) -> Found | None:
        """
        The route for a path as it was sent, None when there is none.

        A slash at the end makes no difference (http-api 1; the Dify API server follows no redirects). `%2F` is a slash like any other.
        """
        for mount, route in self._mounts:
            if path.startswith(mount.path):
                return (route, {}) if method in mount.methods else None
        if len(path) > LONGEST_PATH:
            return None
        if b"%" in path:
            path = unquote_to_bytes(path)
        found = self._look_up(method, path)
        if found is None and path.endswith(b"/"):
            found = self._look_up(method, path[:-1])
        if found is None:
            found = self._match(method, path)
        return found

    def _look_up(self, method: bytes, path: bytes) -> Found | None:
        parts = path.split(b"/", 3)
        if len(parts) == 4 and parts[1] == b"plugin" and parts[2]:
            methods = self._of_tenants.get(parts[3])
            if methods is not None and method in methods:
                try:
                    return methods[method], {"tenant": parts[2].decode()}
                except UnicodeDecodeError:
                    return None
        methods = self._fixed.get(path)
        return None if methods is None or method not in methods else (methods[method], {})

    def _match(self, method: bytes, path: bytes) -> Found | None:
        try:
            text = path.decode()
        except UnicodeDecodeError:
            return None
        for adapter, routes in self._free:
            try:
                endpoint, parameters = adapter.match(text.removesuffix("/"), method.decode("latin-1"))
            except HTTPException:  # no such path or method; Klein would answer a redirect where one slash differs
                continue
            if endpoint in routes:
                return routes[endpoint], dict(parameters)
        return None

    def _add(self, group: Group) -> None:
        free: dict[str, Route] = {}
        app = group.part.app
        for rule in app.url_map.iter_rules():
            route = Route(_label(rule), group.limits.get(rule.endpoint, group.limit), group, _handler(group.part, rule.endpoint))
            pattern = rule.rule.rstrip("/")
            _, tenant, suffix = pattern.partition("/plugin/<tenant>/")
            if "<" not in pattern:
                table, path = self._fixed, pattern
            elif tenant and "<" not in suffix:
                table, path = self._of_tenants, suffix
            else:
                free[rule.endpoint] = route
                continue
            for method in rule.methods or ():
                table.setdefault(path.encode(), {})[method.encode()] = route
        if free:
            app.url_map.merge_slashes = False
            app.url_map.strict_slashes = False
            self._free.append((app.url_map.bind(""), free))


def _handler(part: Part, endpoint: str) -> Callable[..., Any]:
    """
    The method behind an endpoint, without Klein's own wrapping.

    `execute_endpoint` calls it through four functions, and makes a Deferred of its coroutine that ours would only wait for: 10 µs a call.
    """
    function = part.app.endpoints[endpoint].__wrapped__  # type: ignore[attr-defined]  # one level: a decorator of ours stays
    return partial(function, part)


def _label(rule: Rule) -> str:
    """The pattern in the spelling of the reference's router (configuration 7)."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda name: _SPELLED.get(name[1], f":{name[1]}"), rule.rule)
