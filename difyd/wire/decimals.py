"""Exact decimals, which prices are, in plain notation (package-format 12.4; backwards-invocation 9)."""

import json
import re
from decimal import Decimal
from typing import Final

_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([-+]?[0-9]{1,9}))?")
_MAX_EXPONENT: Final = 1000
"""A price of a few bytes must not become a text of gigabytes."""


def decimal(text: str) -> str:
    """The exact decimal in plain notation without needless zeros. Raises ValueError."""
    match = _DECIMAL.fullmatch(text)
    if match is None or abs(int(match[1] or 0)) > _MAX_EXPONENT:
        raise ValueError(f"can't convert {text!r} to decimal")
    plain = format(Decimal(text), "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def price(written: bytes) -> bytes:
    """A decimal in JSON, a number or a text, as the text of `decimal`; null is 0. Raises ValueError as that does."""
    if written == b"null":
        return b'"0"'
    return b'"%b"' % decimal(json.loads(written) if written[:1] == b'"' else written.decode()).encode()
