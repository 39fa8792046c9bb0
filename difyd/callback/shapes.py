"""
JSON objects that pass through, and the members of them that the daemon knows.

A shape is a Struct in the words of msgspec. It checks an object without rebuilding it: the object itself stays `dict[str, Raw]`, or the bytes
that came, with members nobody here has heard of and every digit of its numbers (decision table). A default of the Struct is what the receiver
gets in the place of a member that was left out or null; `UNSET` means that such a member is not sent at all.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, Generic, TypeVar, get_args

import msgspec
from msgspec import UNSET, Raw, Struct

from difyd.entities import raw
from difyd.entities.raw import EMPTY, NULL, Members, encode

S = TypeVar("S", bound=Struct)

_elements = msgspec.json.Decoder(list[Raw])


class WrongShape(ValueError):
    """An object does not fit. `missing` tells a member that is not there, or empty, from one of the wrong type."""

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


def members(text: bytes | Raw) -> Members:
    """The members of an object. Raises WrongShape."""
    try:
        return raw.members(text)
    except (ValueError, RecursionError) as why:
        raise WrongShape(str(why)) from None


class Shape(Generic[S]):
    """The known members of one kind of object. `parts` are the shapes of objects in its members, and of those in lists in its members."""

    def __init__(self, struct: type[S], parts: "Mapping[str, Shape[Any]] | None" = None) -> None:
        fields = msgspec.structs.fields(struct)
        self.names = frozenset(field.encode_name for field in fields)
        self._decode = msgspec.json.Decoder(struct).decode
        self._parts = parts or {}
        self._whole = [field.encode_name for field in fields if field.type is int]
        self._stand_ins = {field.encode_name: _stand_in(field) for field in fields if not field.required}
        self._omitted = {field.encode_name for field in fields if field.default is UNSET and str in get_args(field.type)}

    def decode(self, text: bytes | Raw) -> S:
        """The known members as values. Raises WrongShape."""
        try:
            return self._decode(text)
        except msgspec.ValidationError as why:
            reason = str(why)
            raise WrongShape(reason, missing=", got `" not in reason or "got `null`" in reason) from None
        except (ValueError, RecursionError) as why:
            raise WrongShape(str(why)) from None

    def checked(self, text: Raw) -> Raw:
        """The same text, or a new one where something had to be filled in. Raises WrongShape."""
        found = members(text)
        if self.fill(found):
            text = encode(found)
        self.decode(text)
        return text

    def complete(self, found: Members, ours: Collection[str] = ()) -> bool:
        """
        Make of a request what its receiver expects, in place; tells whether anything changed. Does not check (backwards-invocation 5).

        Another spelling of a known name, or of one of `ours`, is that name; beside the exact one it is dropped, so that no name is there twice.
        """
        changed = False
        for name in [name for name in found if name not in self.names]:
            known = name.casefold()
            if known != name and (known in self.names or known in ours):
                value = found.pop(name)
                found.setdefault(known, value)
                changed = True
        for name in self._whole:
            if (whole := _cut(found.get(name, NULL))) is not None:
                found[name] = whole
                changed = True
        return self.fill(found) or changed

    def fill(self, found: Members) -> bool:
        """Put stand-ins where members are absent or null, in place; tells whether anything changed. Does not check."""
        changed = False
        for name, stand_in in self._stand_ins.items():
            value = found.get(name)
            if value is None or value == NULL:
                if stand_in is not None and value != stand_in:
                    found[name] = stand_in
                    changed = True
                elif stand_in is None and value is not None:
                    del found[name]
                    changed = True
            elif value == EMPTY and name in self._omitted:
                del found[name]
                changed = True
        for name, part in self._parts.items():
            value = found.get(name)
            if value is not None and (completed := part._completed(value)) is not value:
                found[name] = completed
                changed = True
        return changed

    def _completed(self, value: Raw) -> Raw:
        """The value itself when nothing has to change; also when it is nothing that can be completed: then `decode` complains."""
        kind = bytes(memoryview(value)[:1])
        with suppress(ValueError, RecursionError):
            if kind == b"{":
                found = raw.members(value)
                return encode(found) if self.complete(found) else value
            if kind == b"[":
                old = _elements.decode(value)
                new = [self._completed(element) for element in old]
                return encode(new) if any(one is not other for one, other in zip(new, old, strict=True)) else value
        return value


def _cut(value: Raw) -> Raw | None:
    """Of a number with a fraction where an integer is wanted only the integer stays; None for what is none."""
    number = bytes(value)
    if number[:1] in b"-0123456789" and not number.lstrip(b"-").isdigit() and isfinite(found := float(number)):
        return Raw(b"%d" % int(found))
    return None


def _stand_in(field: msgspec.structs.FieldInfo) -> Raw | None:
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return None if default is UNSET else Raw(msgspec.json.encode(default))
