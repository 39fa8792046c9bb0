"""JSON that passes through: values that stay the bytes that were written, and objects that are opened one level deep."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

NULL: Final = Raw(b"null")
EMPTY: Final = Raw(b'""')

Members = dict[str, Raw]
"""The members of an object."""

_members = msgspec.json.Decoder(Members)


def members(text: bytes | Raw) -> Members:
    """Raises DecodeError, UnicodeDecodeError (both are ValueErrors) or RecursionError when `text` is no object."""
    return _members.decode(text)


def encode(value: Mapping[str, Any] | list[Raw]) -> Raw:
    return Raw(msgspec.json.encode(value))
