"""
The members of a JSON object that the daemon knows, declared as data: what they must be, and what stands for one that is absent.

Requests of Dify and answers of plugins are checked member by member without being rebuilt: an object is opened to `dict[str, Raw]`, each
known member is decoded once for its type and dropped again, unknown ones stay untouched (decision table). Only an object in which
something was missing is written anew.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from attrs import define, field, frozen
from msgspec import Raw

from difyd.entities.raw import EMPTY as EMPTY
from difyd.entities.raw import NULL as NULL
from difyd.entities.raw import Members as Members
from difyd.entities.raw import encode as encode

ZERO: Final = Raw(b"0")
FALSE: Final = Raw(b"false")
OBJECT: Final = Raw(b"{}")
LIST: Final = Raw(b"[]")

Check = Callable[[Raw], Any]
"""Raises ValueError with the reason when a value will not do; what it returns does not matter."""

_members = msgspec.json.Decoder(Members)


class WrongMembers(ValueError):
    """One line for each member that is missing or of the wrong kind."""


def of(type_: Any) -> Check:
    """The check that a value decodes as `type_`, a type in the words of msgspec."""
    return msgspec.json.Decoder(type_).decode


@frozen
class Field:
    """One member."""

    name: str
    check: Check = field(repr=False)
    required: bool = False
    """Must be there and not be null."""
    absent: Raw | None = NULL
    """What stands in its place when it is absent or null; None leaves it out, also where it is an empty text."""
    null: Raw | None = None
    """What stands in the place of an explicit null, where that differs from `absent`."""
    within: "Fields | None" = None
    """The members of an object in this member."""


@define(eq=False)
class Fields:
    """The known members of one kind of object."""

    _fields: tuple[Field, ...]
    _rule: Callable[[Members], None] | None = None
    """Checks that look at several members, after each is known to be fine alone. Raises ValueError."""

    @classmethod
    def of(cls, *fields: Field, rule: Callable[[Members], None] | None = None) -> "Fields":
        return cls(fields, rule)

    def open(self, data: Raw | bytes, path: str = "") -> tuple[Members, bool]:
        """
        All members of the object, absent ones filled in, and whether anything had to be filled in.

        Raises WrongMembers; its text has a line for each bad member, which is named by `path` (as in `data.`) and its own name.
        """
        try:
            members = _members.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
            raise WrongMembers(str(why)) from None
        return members, self.complete(members, path)

    def complete(self, members: Members, path: str = "") -> bool:
        """As `open`, on members that were opened already; changes them in place."""
        changed, problems = False, []
        for known in self._fields:
            value = members.get(known.name)
            if value is None or value == NULL or (known.absent is None and value == EMPTY):
                if known.required:
                    problems.append(_problem(path, known.name, "required", "it is missing"))
                    continue
                stand_in = known.absent if value is None or known.null is None else known.null
                if stand_in is None:
                    changed = members.pop(known.name, None) is not None or changed
                elif value is None or stand_in != value:
                    members[known.name] = stand_in
                    changed = True
                continue
            try:
                known.check(value)
                if known.within is not None:
                    inner, inner_changed = known.within.open(value, f"{path}{known.name}.")
                    if inner_changed:
                        members[known.name] = encode(inner)
                        changed = True
            except WrongMembers as inner_problems:
                problems.append(str(inner_problems))
            except (ValueError, RecursionError) as why:  # DecodeError and UnicodeDecodeError are ValueErrors
                problems.append(_problem(path, known.name, "type", str(why)))
        if not problems and self._rule is not None:
            try:
                self._rule(members)
            except ValueError as why:
                problems.append(str(why))
        if problems:
            raise WrongMembers("\n".join(problems))
        return changed


def _problem(path: str, name: str, tag: str, reason: str) -> str:
    return f"Key: '{path}{name}' Error:Field validation for '{name}' failed on the '{tag}' tag: {reason}"
