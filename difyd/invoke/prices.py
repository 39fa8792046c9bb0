"""
Prices in the usage of a model's answer: texts in plain notation, as clients take them (http-api 8.5).

Plugins write them as numbers or as texts, with exponents and idle zeros, or leave them out. A client that read a number would put it through a
binary float; one that found no price would refuse the whole answer (dify-client 8.3).
"""

import re
from typing import Final

from msgspec import Raw

from difyd.invoke.schemas import EmbeddingUsage, LLMUsage
from difyd.package.documents.scalars import price

_PLAIN: Final = re.compile(rb'"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"')


def unlike(usage: LLMUsage | EmbeddingUsage) -> dict[str, Raw]:
    """The prices that are written otherwise than a client wants them: by name, as it wants them. Raises ValueError for what is no price."""
    found: dict[str, Raw] = {}
    for name in usage.prices:
        written = getattr(usage, name)
        if _PLAIN.fullmatch(written) is None:
            try:
                found[name] = Raw(price(bytes(written)))
            except ValueError:
                raise ValueError(f"{name} is no decimal: {bytes(written)[:64].decode(errors='replace')}") from None
    return found
