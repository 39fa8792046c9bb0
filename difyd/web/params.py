"""
Binding the query and the JSON body of a request to a value (http-api 4).

    @frozen
    class Listing:
        page: int = whole(1)
        page_size: int = whole(1, 256)
        query: str = text(required=False, longest=256)

    wanted = bind(Listing, request)

A frozen attrs class whose fields are made by the functions below; the name of a field is its name on the wire. Unknown members are
ignored. What does not fit is collected, one line for each field, and raised as one `InvalidRequest`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import attrs
import msgspec
from attrs import frozen
from twisted.web.iweb import IRequest

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier
from difyd.web.envelope import InvalidRequest

T = TypeVar("T")


def bind(kind: type[T], request: IRequest, **path: str) -> T:
    """
    The value of `kind` that `request` carries: its query, over that the members of a JSON body, over both the `path` parameters.

    Reads the body at once, so the route must be one whose bodies stay in memory. Raises InvalidRequest naming each field that is missing or wrong.
    """
    raise NotImplementedError


def text(*, required: bool = True, longest: int | None = None, among: Iterable[str] | None = None) -> Any:
    """A string; when it is required it must not be empty, when not it defaults to "". `among`: the only ones accepted (and "" if optional)."""


def whole(low: int, high: int | None = None) -> Any:
    """A required whole number in a range, both ends included."""


def identifier() -> Any:
    """A required PluginIdentifier."""


def identifiers(most: int) -> Any:
    """A required list of PluginIdentifier, possibly empty."""


def texts(most: int, *, required: bool = True, among: Iterable[str] | None = None) -> Any:
    """A list of strings; in a query by repetition. Required means present: it may be empty. Optional and absent: an empty list."""


def objects(*, required: bool = False) -> Any:
    """A list of JSON objects as dicts; a `null` member counts as an empty one. Absent: an empty list."""


def mapping(*, required: bool = False) -> Any:
    """A JSON object as a dict. Absent or null: an empty one."""


def several(kind: type[Any], *, most: int | None = None) -> Any:
    """A required list of objects that bind to `kind` themselves; their problems are reported with their place."""
