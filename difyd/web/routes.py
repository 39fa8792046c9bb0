"""
Groups of routes, and how a request finds its handler.

Routes are declared on Klein applications; a group adds what holds for all of them: key, size of bodies, how errors are shown. The table
made of all groups is asked once for each request, when its head has arrived: paths without a variable, or with none but the tenant, are
found in a dictionary, the others through Klein's own map. Both run through the same code, with Klein's meaning:

- a handler is `async def f(self, request, **path_parameters)`; its Deferred is cancelled when the client goes away;
- returns `bytes`: the whole body of the answer, JSON unless the handler set another content type;
- returns None: the handler wrote the answer itself, it is finished for it if it has not been;
- raises: the answer is the error's envelope, or, when part of an answer is out already, a broken connection.
"""

from collections.abc import Mapping

from attrs import define, field, frozen
from klein import Klein
from twisted.web.iweb import IRequest

MIB = 1024 * 1024


@frozen
class BodyLimit:
    """How much body a route takes, and how it refuses more before it has taken it in."""

    size: int
    status: int = 413
    text: str = ""
    """The message of the -400 envelope; a sentence of ours when it is empty."""


@define(eq=False)
class Key:
    """A secret that requests of a group must carry in a header."""

    header: bytes
    _secret: bytes = field(repr=False)

    def fits(self, request: IRequest) -> bool:
        """In constant time."""
        raise NotImplementedError


@define(eq=False)
class Group:
    """
    The routes of one part.

    `limits` names, by the handler's function name, the routes whose limit differs from `limit`. With `always_ok` errors that a handler
    raises have HTTP status 200 (management, http-api 13), except InvalidRequest.
    """

    app: Klein
    key: Key | None = None
    limit: BodyLimit = BodyLimit(MIB)
    limits: Mapping[str, BodyLimit] = field(factory=dict)
    always_ok: bool = False
