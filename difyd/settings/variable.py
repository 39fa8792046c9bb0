"""
What a setting is: the values it accepts, its default, its words; and how a text becomes its value (configuration 1).

A setting is declared as one attribute of a class in `areas` or `backends`:

    server_port: int = positive(5002, "HTTP port, also told to the other nodes", most=65535)

Its environment variable is the attribute's name in capitals. Everything that speaks of settings is made from these declarations: the
reading of the environment, its complaints, `twistd difyd --check`, docs/configuration.md.
"""

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen


class Status(Enum):
    """Does setting a variable change anything? The value is what the documentation says."""

    ACTIVE = ""
    UNUSED = "Unused: accepted for the sake of existing environment files."
    DEPRECATED = "Deprecated."
    LATER = "Without effect in this version."


@frozen
class Kind:
    """A type of values. `parse` raises ValueError; `accepted` completes the sentence "accepted is ..."."""

    name: str
    accepted: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


@frozen
class Variable:
    """One environment variable."""

    kind: Kind
    doc: str
    default: Any
    """attrs.NOTHING: required. An attrs.Factory: derived from other settings, `shown` says how."""
    shown: str
    """The default as the documentation shows it."""
    secret: bool
    """Never printed; may come from the file that `<NAME>_FILE` names."""
    withheld: bool
    """A credential, which no child process inherits (local-runtime 14.5)."""
    aliases: tuple[str, ...]
    """Other names, which count when this one is absent."""
    status: Status
    zero_is_default: bool
    """0 cannot be configured: the reference replaces it by the default."""
    empty_counts: bool
    """Empty is a value, not absence: the chapter that owns the variable has a refusal for it."""
    complaint: str
    """How a sentence about a bad value begins: the reference's text, which operators may look for."""
    name: str = ""

    @property
    def attribute(self) -> str:
        return self.name.lower()

    @property
    def required(self) -> bool:
        return self.default is attrs.NOTHING

    def parse(self, text: str) -> Any:
        """Raises ValueError when `text` is none of the accepted values; None stands for the default."""
        value = self.kind.parse(text)
        return None if (value == "" and not self.empty_counts) or (self.zero_is_default and value == 0) else value

    def masked(self, value: Any) -> str:
        """`value` fit for a log: secrets only show that they are there, and URLs lose their credentials."""
        if self.secret:
            return "********" if value else ""
        return _CREDENTIALS.sub("//********@", "" if value is None else self.kind.show(value))


_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")
_METADATA: Final = "difyd.variable"


def declared(area: type) -> tuple[Variable, ...]:
    """The variables that a class of settings declares or inherits, in order."""
    return tuple(
        attrs.evolve(attribute.metadata[_METADATA], name=attribute.name.upper())
        for attribute in attrs.fields(area)
        if _METADATA in attribute.metadata
    )


def _declare(
    kind: Kind,
    default: Any,
    doc: str,
    *,
    shown: str | None = None,
    secret: bool = False,
    withheld: bool = False,
    aliases: tuple[str, ...] = (),
    status: Status = Status.ACTIVE,
    zero_is_default: bool = False,
    empty_counts: bool = False,
    complaint: str = "error processing environment variables",
) -> Any:
    if shown is None:
        shown = "" if default is None or default is attrs.NOTHING else kind.show(default)
    variable = Variable(kind, doc, default, shown, secret, secret or withheld, aliases, status, zero_is_default, empty_counts, complaint)
    return attrs.field(default=default, repr=not secret, metadata={_METADATA: variable})


# How an area declares its variables. `options` are those of `_declare`. -------------------------------------------------


def text(default: Any, doc: str, *, normal: Callable[[str], str] = str, **options: Any) -> Any:
    """Any text, as it is or as `normal` makes it."""
    return _declare(Kind("text", "any text", normal), default, doc, **options)


def secret(default: Any, doc: str, **options: Any) -> Any:
    """A text that is shown to nobody."""
    return text(default, doc, secret=True, **options)


def choice(default: Any, accepted: tuple[str, ...], doc: str, *, normal: Callable[[str], str] = str, **options: Any) -> Any:
    """One of a few words, once `normal` has replaced other spellings."""

    def parse(spelled: str) -> str:
        word = normal(spelled)
        if word not in accepted:
            raise ValueError(word)
        return word

    return _declare(Kind("word", f"one of {', '.join(accepted)}", parse), default, doc, **options)


def flag(default: bool, doc: str, **options: Any) -> Any:
    return _declare(Kind("boolean", "true or false (also 1, 0, t, f)", _flag, lambda value: str(value).lower()), default, doc, **options)


def integer(default: int | None, doc: str, *, least: int | None = 0, most: int | None = None, unit: str = "", **options: Any) -> Any:
    def parse(digits: str) -> int:
        return int(_within(_integer(digits), least, most))

    name = f"integer, {unit}" if unit else "integer"
    return _declare(Kind(name, f"an integer{_range(least, most)}", parse), default, doc, **options)


def positive(default: int, doc: str, *, most: int | None = None, unit: str = "", **options: Any) -> Any:
    """An integer of which 0 means the default."""
    return integer(default, doc, most=most, unit=unit, zero_is_default=True, **options)


def number(default: float, doc: str, *, least: float | None = 0, most: float | None = None, unit: str = "", **options: Any) -> Any:
    def parse(digits: str) -> float:
        if not _NUMBER.fullmatch(digits):
            raise ValueError(digits)
        return _within(float(digits), least, most)

    name = f"number, {unit}" if unit else "number"
    return _declare(Kind(name, f"a decimal number{_range(least, most)}", parse, lambda value: f"{value:g}"), default, doc, **options)


def duration(default: float, doc: str, **options: Any) -> Any:
    """Seconds, written with a unit."""
    kind = Kind("duration", "a duration such as 300ms, 5s, 1m30s, 2h", _duration, lambda value: f"{value:g}s")
    return _declare(kind, default, doc, **options)


def words(default: tuple[str, ...], doc: str, **options: Any) -> Any:
    """A list: split at commas, trimmed, empty items left out."""
    kind = Kind("list", "a list separated by commas", _words, ",".join)
    return _declare(kind, default, doc, **options)


def path(default: Any, doc: str, **options: Any) -> Any:
    """A path made absolute when it is read: nothing depends on the directory that a daemon changes to."""
    return _declare(Kind("path", "a path", lambda name: Path(name).absolute()), default, doc, **options)


# The values behind them. ------------------------------------------------------------------------------------------------

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER: Final = re.compile(r"[+-]?[0-9][0-9A-Za-z_]*")
_OCTAL: Final = re.compile(r"[+-]?0[0-7_]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PIECE: Final = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)"
_DURATION: Final = re.compile(f"0|(?:{_PIECE})+")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _flag(word: str) -> bool:
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE


def _integer(digits: str) -> int:
    """Decimal, 0x, 0o or a leading 0, 0b, with `_` between digits."""
    if not _INTEGER.fullmatch(digits):
        raise ValueError(digits)
    return int(digits, 8 if _OCTAL.fullmatch(digits) else 0)


def _duration(written: str) -> float:
    if not _DURATION.fullmatch(written):
        raise ValueError(written)
    return sum(float(count) * _SECONDS[unit] for count, unit in re.findall(_PIECE, written))


def _words(listing: str) -> tuple[str, ...]:
    return tuple(item for piece in listing.split(",") if (item := piece.strip()))


def _within(value: float, least: float | None, most: float | None) -> float:
    if (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(value)
    return value


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f" up to {most}"
    return f" of at least {least}" if most is None else f" from {least} to {most}"
