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

import re
from collections.abc import Callable, Collection
from copy import copy
from typing import Any, Final, TypeVar

import attrs
import msgspec
from attrs import field, frozen
from twisted.web.iweb import IRequest

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier
from difyd.web.envelope import InvalidRequest
from difyd.wire.text import mend_surrogates, utf8

T = TypeVar("T")

_RULE: Final = "difyd.web.params"
_MISSING: Final = object()
_object_of: Final = msgspec.json.Decoder(dict[str, Any]).decode
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


def bind(kind: type[T], request: IRequest, **path: str) -> T:
    """
    The value of `kind` that `request` carries: its query, over that the members of a JSON body, over both the `path` parameters.

    Reads and decodes the body at once, so the route must be one with small bodies. Raises InvalidRequest.
    """
    query = {_text(name): _Query(map(_text, values)) for name, values in request.args.items()}
    return _bind(kind, {**query, **_members(request), **path}, kind.__name__)


def text(*, required: bool = True, longest: int | None = None, among: Collection[str] | None = None) -> Any:
    """A string; when it is required it must not be empty, when not it defaults to "". `among`: the only ones accepted (and "" if optional)."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _Unfit("type", "must be a string")
        if not value:
            if required:
                raise _Unfit("required", "must not be empty")
            return ""
        if longest is not None and len(value) > longest:
            raise _Unfit("max", f"must have at most {longest} characters")
        _check_nul(value)
        if among is not None and value not in among:
            raise _one_of(among)
        return value

    return _field(read, _MISSING if required else "")


def whole(low: int, high: int | None = None) -> Any:
    """A required whole number in a range, both ends included."""
    what = f"must be a whole number from {low}" + ("" if high is None else f" to {high}")

    def read(value: Any) -> int:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Unfit("type" if value else "required", what)
        if value < low:
            raise _Unfit("min" if value else "required", what)
        if high is not None and value > high:
            raise _Unfit("max", what)
        return value

    return _field(read, _MISSING)


def identifier() -> Any:
    """A required PluginIdentifier."""
    return _field(_identifier, _MISSING)


def identifiers(most: int) -> Any:
    """A required list of PluginIdentifier, possibly empty."""
    return _field(_each(_identifier, most), _MISSING, many=True)


def texts(most: int, *, required: bool = True, among: Collection[str] | None = None) -> Any:
    """A list of strings; in a query by repetition. Required means present: it may be empty. Optional and absent: an empty list."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _Unfit("type", "must be a list of strings")
        _check_nul(value)
        if among is not None and value not in among:
            raise _one_of(among)
        return value

    return _field(_each(read, most), _MISSING if required else [], many=True)


def objects(*, required: bool = False) -> Any:
    """A list of JSON objects as dicts; a `null` member counts as an empty one. Absent: an empty list."""
    return _field(_each(_object), _MISSING if required else [], many=True)


def mapping(*, required: bool = False) -> Any:
    """A JSON object as a dict. Absent or null: an empty one."""
    return _field(_object, _MISSING if required else {})


def several(kind: type[Any], *, most: int | None = None) -> Any:
    """A required list of objects that bind to `kind` themselves; their problems are reported with their place."""
    members = _each(_object, most)

    def read(value: Any, place: str) -> list[Any]:
        return [_bind(kind, member, f"{place}[{number}]") for number, member in enumerate(members(value))]

    return field(metadata={_RULE: _Rule(read, _MISSING, many=True)})


@frozen
class _Rule:
    read: Callable[[Any, str], Any]
    """From a JSON value, or from text out of a query, and the place of the field in the request."""
    absent: Any
    """What stands for a member that is missing or null; _MISSING when it must be there."""
    many: bool
    """A list: it takes all the values that a query gives."""


class _Query(list[str]):
    """The values of one name in a query."""


class _Unfit(Exception):
    """One field does not fit: the tag by which the reference names the rule, and what would have been right."""

    def __init__(self, tag: str, wanted: str) -> None:
        super().__init__(tag, wanted)
        self.tag, self.wanted = tag, wanted


def _check_nul(value: str) -> None:
    """PostgreSQL takes none."""
    if "\0" in value:
        raise _Unfit("type", "must not hold a NUL character")


def _one_of(among: Collection[str]) -> _Unfit:
    return _Unfit("oneof", f"must be one of {', '.join(sorted(among))}")


def _field(read: Callable[[Any], Any], absent: Any, *, many: bool = False) -> Any:
    return field(metadata={_RULE: _Rule(lambda value, _: read(value), absent, many)})


def _identifier(value: Any) -> PluginIdentifier:
    if not value:
        raise _Unfit("required", "must be given")
    try:
        return PluginIdentifier.parse(value)
    except (BadIdentifier, TypeError) as why:
        raise _Unfit("plugin_unique_identifier", f"is not valid: {value}") from why


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Unfit("type", "must be a JSON object")
    return value


def _each(read: Callable[[Any], Any], most: int | None = None) -> Callable[[Any], list[Any]]:
    def all_of(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _Unfit("type", "must be a list")
        if most is not None and len(value) > most:
            raise _Unfit("max", f"must have at most {most} members")
        return [read(member) for member in value]

    return all_of


def _bind(kind: type[T], given: dict[str, Any], place: str) -> T:
    values, problems = {}, []
    for attribute in attrs.fields(kind):  # type: ignore[arg-type]  # `kind` is an attrs class, as `bind` asks
        rule: _Rule = attribute.metadata[_RULE]
        value = given.get(attribute.name)
        if isinstance(value, _Query) and not rule.many:
            value = value[0]
        here = f"{place}.{_camel(attribute.name)}"
        try:
            if value is not None:
                values[attribute.name] = rule.read(value, here)
            elif rule.absent is _MISSING:
                raise _Unfit("required", "must be given")
            else:
                values[attribute.name] = copy(rule.absent)
        except _Unfit as why:
            name = _camel(attribute.name)
            problems.append(f"Key: '{here}' Error:Field validation for '{name}' failed on the '{why.tag}' tag: {attribute.name} {why.wanted}")
        except InvalidRequest as why:  # of a member of a list
            problems.append(str(why))
    if problems:
        raise InvalidRequest("\n".join(problems))
    return kind(**values)


def says_json(request: IRequest) -> bool:
    """Does its head say that the body is JSON?"""
    kind = request.getHeader(b"Content-Type") or b""
    return kind == b"application/json" or kind.partition(b";")[0].strip().lower() == b"application/json"


def _text(word: bytes) -> str:
    return word.decode("utf-8", "replace")


def _camel(name: str) -> str:
    """`page_size` as the reference spells it: PageSize; `plugin_id`: PluginID."""
    return "".join("ID" if word == "id" else word.capitalize() for word in name.split("_"))


def _members(request: IRequest) -> dict[str, Any]:
    """The members of a JSON body; none when there is no body or it is not JSON (http-api 4)."""
    if not says_json(request):
        return {}
    body: bytes = request.content.read()
    if not body:
        return {}
    body = utf8(body)
    try:
        try:
            return _object_of(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # not JSON, or half a surrogate pair, which is mended
            return _object_of(mend_surrogates(body))
    except (msgspec.DecodeError, RecursionError) as why:
        raise InvalidRequest(f"the body of the request is not a JSON object: {why}") from why
