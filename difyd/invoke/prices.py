"""
Prices in the usage of a model's answer: texts in plain notation, as clients take them (http-api 8.5).

Plugins write them as numbers or as texts, with exponents and idle zeros, or leave them out. A client that read a number would put it through a
binary float; one that found no price would refuse the whole answer (dify-client 8.3).
"""

import re
from typing import Final

import msgspec
from msgspec import Raw

from difyd.invoke.fields import NULL
from difyd.invoke.schemas import EmbeddingUsage, LLMUsage
from difyd.package.documents.scalars import decimal

_PLAIN: Final = re.compile(rb'"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"')
_NOTHING: Final = Raw(b'"0"')
_text: Final = msgspec.json.Decoder(str).decode


def unlike(usage: LLMUsage | EmbeddingUsage) -> dict[str, Raw]:
    """The prices that are written otherwise than a client wants them: by name, as it wants them. Raises ValueError for what is no price."""
    found: dict[str, Raw] = {}
    for name in usage.prices:
        written = getattr(usage, name)
        if _PLAIN.fullmatch(written) is None:
            found[name] = _plain(name, written)
    return found


def _plain(name: str, written: Raw) -> Raw:
    if written == NULL:
        return _NOTHING
    value = bytes(written)
    try:
        return Raw(b'"%b"' % decimal(_text(value) if value[:1] == b'"' else value.decode()).encode())
    except ValueError:
        raise ValueError(f"{name} is no decimal: {value[:64].decode(errors='replace')}") from None
