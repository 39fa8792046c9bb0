"""
JSON objects that pass through, and the members of them that the daemon knows.

A shape is a Struct in the words of msgspec. It checks an object without rebuilding it: the object itself stays `dict[str, Raw]`, or the bytes
that came, with members nobody here has heard of and every digit of its numbers (decision table). A default of the Struct is what the receiver
gets in the place of a member that was left out or null; `UNSET` means that such a member is not sent at all.
"""

from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

NULL: Final = Raw(b"null")
EMPTY: Final = Raw(b'""')

Required = Annotated[str, Meta(min_length=1)]
"""A string that must not be empty."""
Object = dict[str, Raw]
Members = dict[str, Raw]

S = TypeVar("S", bound=Struct)

_members = msgspec.json.Decoder(Members)
_elements = msgspec.json.Decoder(list[Raw])


class WrongShape(ValueError):
    """An object does not fit. `missing` tells a member that is not there, or empty, from one of the wrong type."""

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


def members(text: bytes | Raw) -> Members:
    """The members of an object. Raises WrongShape."""
    try:
        return _members.decode(text)
    except (ValueError, RecursionError) as why:  # DecodeError and UnicodeDecodeError are ValueErrors
        raise WrongShape(str(why)) from None


def encode(value: Mapping[str, Any] | list[Raw]) -> Raw:
    return Raw(msgspec.json.encode(value))


class Shape(Generic[S]):
    """The known members of one kind of object. `parts` are the shapes of objects in its members, and of those in lists in its members."""

    def __init__(self, struct: type[S], parts: "Mapping[str, Shape[Any]] | None" = None) -> None:
        fields = msgspec.structs.fields(struct)
        self.names = frozenset(field.encode_name for field in fields)
        self._decode = msgspec.json.Decoder(struct).decode
        self._parts = parts or {}
        self._whole = [field.encode_name for field in fields if field.type is int]
        self._stand_ins = {field.encode_name: _stand_in(field) for field in fields if not field.required}

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

    def fill(self, found: Members) -> bool:
        """Put stand-ins where members are absent or null, in place; tells whether anything changed. Does not check."""
        changed = False
        for name, stand_in in self._stand_ins.items():
            value = found.get(name)
            if stand_in is None:
                if value in (NULL, EMPTY):
                    del found[name]
                    changed = True
            elif value is None or (value == NULL and stand_in != NULL):
                found[name] = stand_in
                changed = True
        for name, part in self._parts.items():
            value = found.get(name)
            if value is not None and (filled := part._filled(value)) is not value:
                found[name] = filled
                changed = True
        return changed

    def cut(self, found: Members) -> None:
        """Of a number with a fraction where an integer is wanted only the integer stays (backwards-invocation 5)."""
        for name in self._whole:
            number = bytes(found.get(name, NULL))
            if number[:1] in b"-0123456789" and not number.lstrip(b"-").isdigit() and isfinite(value := float(number)):
                found[name] = Raw(b"%d" % int(value))

    def _filled(self, value: Raw) -> Raw:
        """The value itself when nothing is to be filled in; also when it is nothing that can be: then `decode` complains."""
        kind = bytes(memoryview(value)[:1])
        with suppress(ValueError, RecursionError):
            if kind == b"{":
                found = _members.decode(value)
                return encode(found) if self.fill(found) else value
            if kind == b"[":
                old = _elements.decode(value)
                new = [self._filled(element) for element in old]
                return encode(new) if any(one is not other for one, other in zip(new, old, strict=True)) else value
        return value


def _stand_in(field: msgspec.structs.FieldInfo) -> Raw | None:
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return None if default is UNSET else Raw(msgspec.json.encode(default))
