"""
Binding the query and the JSON body of a request to a value (http-api 4).

    @frozen
    class Listing:
        page: int = whole(1)
        page_size: int = whole(1, 256)
        query: str = text(required=False, longest=256)

    wanted = bind(Listing, request)

A frozen attrs class whose fields are made by the functions below; the name of a field is its name on the wire. Unknown members are
ignored. What does not fit is collected, one line for each field, and raised as one `InvalidRequest`:

    Key: 'Listing.PageSize' Error:Field validation for 'PageSize' failed on the 'max' tag: page_size must be a whole number from 1 to 256
"""

import json
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

import attrs
import msgspec
from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier
from difyd.web.envelope import InvalidRequest
from difyd.web.request import Request

T = TypeVar("T")

_RULE: Final = "difyd.web.params"
_MISSING: Final = object()


def bind(kind: type[T], request: Request, **path: str) -> T:
    """
    The value of `kind` that `request` carries: its query, over that the members of a JSON body, over both the `path` parameters.

    Reads the body at once, so the route must be one whose bodies stay in memory. Raises InvalidRequest.
    """
    given: dict[str, Any] = {name.decode("utf-8", "replace"): _Query(values) for name, values in request.args.items()}
    given |= _members(request)
    given |= path
    return _bind(kind, given, kind.__name__)


def text(*, required: bool = True, longest: int | None = None, among: Collection[str] | None = None) -> Any:
    """A string; when it is required it must not be empty, when not it defaults to "". `among`: the only ones accepted (and "" if optional)."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _Unfit("type", "must be a string")
        if not value:
            if required:
                raise _required("must not be empty")
            return ""
        if longest is not None and len(value) > longest:
            raise _Unfit("max", f"must have at most {longest} characters")
        if among is not None and value not in among:
            raise _one_of(among)
        return value

    return _field(read, "" if not required else _MISSING)


def whole(low: int, high: int | None = None) -> Any:
    """A required whole number in a range, both ends included."""
    what = f"must be a whole number from {low}" + ("" if high is None else f" to {high}")

    def read(value: Any) -> int:
        if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _required(what) if value == "" else _Unfit("type", what)
        if value < low:
            raise _required(what) if value == 0 else _Unfit("min", what)
        if high is not None and value > high:
            raise _Unfit("max", what)
        return value

    return _field(read)


def identifier() -> Any:
    """A required PluginIdentifier."""
    return _field(_identifier)


def identifiers(most: int) -> Any:
    """A required list of PluginIdentifier, possibly empty."""
    return _field(_each(_identifier, most))


def texts(most: int, *, required: bool = True, among: Collection[str] | None = None) -> Any:
    """A list of strings; in a query by repetition. Required means present: it may be empty. Optional and absent: an empty list."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _Unfit("type", "must be a list of strings")
        if among is not None and value not in among:
            raise _one_of(among)
        return value

    return _field(_each(read, most), _MISSING if required else [])


def objects(*, required: bool = False) -> Any:
    """A list of JSON objects as dicts; a `null` member counts as an empty one. Absent: an empty list."""
    return _field(_each(_object), _MISSING if required else [])


def mapping(*, required: bool = False) -> Any:
    """A JSON object as a dict. Absent or null: an empty one."""
    return _field(_object, _MISSING if required else {})


def several(kind: type[Any], *, most: int | None = None) -> Any:
    """A required list of objects that bind to `kind` themselves; their problems are reported with their place."""

    def read(value: Any, place: str) -> list[Any]:
        members = _each(_object, most)(value)
        return [_bind(kind, member, f"{place}[{number}]") for number, member in enumerate(members)]

    return field(metadata={_RULE: _Rule(read, _MISSING)})


@frozen
class _Rule:
    read: Callable[[Any, str], Any]
    absent: Any
    """What stands for a missing or null member; _MISSING when it must be there."""


class _Query(list[bytes]):
    """The values of one name in a query: one for a single field, all for a list."""


class _Unfit(Exception):
    """One field does not fit: the tag that the reference names, and what would have been right."""

    def __init__(self, tag: str, wanted: str) -> None:
        super().__init__(tag, wanted)
        self.tag, self.wanted = tag, wanted


def _required(wanted: str) -> _Unfit:
    return _Unfit("required", wanted)


def _one_of(among: Collection[str]) -> _Unfit:
    return _Unfit("oneof", f"must be one of {', '.join(sorted(among))}")


def _field(read: Callable[[Any], Any], absent: Any = _MISSING) -> Any:
    def single(value: Any, _place: str) -> Any:
        if isinstance(value, _Query):
            value = [one.decode("utf-8", "replace") for one in value]
            value = value if getattr(read, "takes_lists", False) else value[0]
        return read(value)

    return field(metadata={_RULE: _Rule(single, absent)})
