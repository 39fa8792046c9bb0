"""The result of a model that answers later (http-api 9, backwards-invocation 11.5)."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from difyd.entities.payloads import Object
from difyd.errors import MalformedChunk
from difyd.invoke.fields import NULL, Members, encode

_members = msgspec.json.Decoder(Members)


class _Result(Struct, frozen=True):
    status: Literal["running", "succeeded", "failed"]
    plugin_state: Object | None = None
    result: Raw = NULL
    error: str | None = None
    next_check_after_seconds: int | None = None
    expires_after_seconds: int | None = None
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        needs: dict[str, tuple[str, Any]] = {
            "running": ("a `plugin_state` that is not empty", self.plugin_state),
            "succeeded": ("a `result`", self.result != NULL),
            "failed": ("an `error` that is not blank", (self.error or "").strip()),
        }
        what, there = needs[self.status]
        if not there:
            raise ValueError(f"status `{self.status}` needs {what}")


_result = msgspec.json.Decoder(_Result)
_LEFT_OUT: Final = ("plugin_state", "error", "next_check_after_seconds", "expires_after_seconds", "max_attempts")


def polling_result(chunk: Raw) -> Raw:
    """A check of chunks: `result` is kept word for word, also a written null; other members are left out when they are empty or null."""
    try:
        found = _result.decode(chunk)
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    members = _members.decode(chunk)
    empty = [name for name in _LEFT_OUT if name in members and getattr(found, name) in (None, "", {})]
    for name in empty:
        del members[name]
    return encode(members) if empty else chunk
