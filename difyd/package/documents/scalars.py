"""
What the text of a scalar means (package-format 4, 5): numbers, times, and their forms in JSON.

Pure functions. A YAML 1.1 loader gives other results (`yes`, `010`, `1:30`, `08`), which is why none is used.
"""

import calendar
import math
import re
from decimal import Decimal
from typing import Any, Final

STR: Final = "!!str"
INT: Final = "!!int"
FLOAT: Final = "!!float"
BOOL: Final = "!!bool"
NULL: Final = "!!null"
TIME: Final = "!!timestamp"

ZERO_TIME: Final = "0001-01-01T00:00:00Z"

_WORDS: Final[dict[str, tuple[str, Any]]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys(("true", "True", "TRUE"), (BOOL, True)),
    **dict.fromkeys(("false", "False", "FALSE"), (BOOL, False)),
    **{sign + word: (FLOAT, math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, -math.inf)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, math.nan)),
}
_INTEGER: Final = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_BASES: Final = (16, 2, 8, 10)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DATE: Final = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
_CLOCK: Final = r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?"
_ZONE: Final = r"(Z|[-+][0-9]{2}:[0-9]{2})"
_ZONED: Final = re.compile(_DATE + "[Tt]" + _CLOCK + _ZONE)
_ZONELESS: Final = re.compile(_DATE + "(?: +" + _CLOCK + ")?")
_RFC3339: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?" + _ZONE)

_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

Number = int | float


def resolve(text: str) -> tuple[str, Any]:
    """
    The tag and the value of a scalar that was written without quotes and without a tag.

    A time comes as its RFC 3339 text; what is nothing else is a string. Infinity and NaN come as they are: who serves JSON refuses them.
    """
    word = _WORDS.get(text)
    if word is not None:
        return word
    if text[0] not in "+-.0123456789":
        return STR, text
    moment = timestamp(text)
    if moment is not None:
        return TIME, moment
    plain = text if text[0] == "." else text.replace("_", "")
    integer = _integer(plain)
    if integer is not None:
        return INT, integer
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        if not math.isinf(value):
            return FLOAT, value
    return STR, text


def _integer(text: str) -> int | None:
    """An integer of 64 bits, with a sign or without; larger ones are floats, or no numbers at all."""
    match = _INTEGER.fullmatch(text)
    if match is None or len(text) > 70:
        return None
    sign, *digits = match.groups()
    value = next(int(text, base) for text, base in zip(digits, _BASES, strict=True) if text is not None)
    if sign == "-":
        return -value if value <= 1 << 63 else None
    return value if value < 1 << (63 if sign else 64) else None


def number(value: Number) -> Number:
    """
    `value` as the wire has it: a float with an integral value below 1e21 is an integer, written with the fewest digits that mean it.

    Raises ValueError for infinity and NaN.
    """
    if isinstance(value, int):
        return value
    if math.isinf(value) or math.isnan(value):
        raise ValueError("infinity and NaN cannot be served")
    if value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def double(value: Number) -> Number:
    """`value` after its way through an IEEE double: the fields of type number are such. Raises ValueError as `number` does."""
    return number(float(value))


def timestamp(text: str) -> str | None:
    """A time in one of the forms that an unquoted scalar may have, as RFC 3339; one without a zone is UTC."""
    match = _ZONED.fullmatch(text)
    if match is not None:
        return _moment(*match.groups()[:-1], zone=match[8])
    match = _ZONELESS.fullmatch(text)
    return None if match is None else _moment(*match.groups(), zone="Z")


def rfc3339(text: str, *, zone: str | None = None) -> str:
    """`text` in the strict form with up to nine digits of fraction; `zone` stands in when it names none. Raises ValueError."""
    match = _RFC3339.fullmatch(text) or (_RFC3339.fullmatch(text + zone) if zone else None)
    moment = None if match is None else _moment(*match.groups()[:-1], zone=match[8])
    if moment is None:
        raise ValueError(f"{text!r} is not a time as RFC 3339 has it, like 2025-01-31T09:30:00+08:00")
    return moment


def _moment(*parts: str | None, zone: str) -> str | None:
    """Year, month, day, hour, minute, second and the digits of the fraction, as far as they are valid together."""
    *numbers, fraction = parts
    y, mo, d, h, mi, s = (int(part or 0) for part in numbers)
    if not (1 <= mo <= 12 and 1 <= d <= _days(y, mo) and h < 24 and mi < 60 and s < 60):
        return None
    if zone != "Z" and not (int(zone[1:3]) < 24 and int(zone[4:]) < 60):
        return None
    digits = (fraction or "")[:9].rstrip("0")
    if zone[1:] == "00:00":
        zone = "Z"
    return f"{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}{'.' if digits else ''}{digits}{zone}"


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else _DAYS[month - 1]
