"""
What a model's answer has cost: prices are texts in plain notation, as clients and the SDK take them (http-api 8.5, backwards-invocation 9).

Whoever writes them uses numbers or texts, with exponents and idle zeros, or leaves them out. A client that read a number would put it through
a binary float; one that found no price would refuse the whole answer (dify-client 8.3).
"""

import re
from typing import ClassVar, Final

from msgspec import Raw, Struct

from difyd.entities.raw import NULL
from difyd.wire.decimals import price

_PLAIN: Final = re.compile(rb'"(?!-0")-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"')


class LLMUsage(Struct, frozen=True):
    """Of a language model. Prices may be anything that is a decimal, and absent."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    currency: str
    latency: float
    prompt_unit_price: Raw = NULL
    prompt_price_unit: Raw = NULL
    prompt_price: Raw = NULL
    completion_unit_price: Raw = NULL
    completion_price_unit: Raw = NULL
    completion_price: Raw = NULL
    total_price: Raw = NULL

    prices: ClassVar = (
        "prompt_unit_price",
        "prompt_price_unit",
        "prompt_price",
        "completion_unit_price",
        "completion_price_unit",
        "completion_price",
        "total_price",
    )


class EmbeddingUsage(Struct, frozen=True):
    """Of vectors, likewise."""

    tokens: int
    total_tokens: int
    currency: str
    latency: float
    unit_price: Raw = NULL
    price_unit: Raw = NULL
    total_price: Raw = NULL

    prices: ClassVar = ("unit_price", "price_unit", "total_price")


def unlike(usage: LLMUsage | EmbeddingUsage) -> dict[str, Raw]:
    """The prices that are written otherwise than a reader wants them: by name, as it wants them. Raises ValueError for what is no price."""
    found: dict[str, Raw] = {}
    for name in usage.prices:
        written = getattr(usage, name)
        if _PLAIN.fullmatch(written) is None:
            try:
                found[name] = Raw(price(bytes(written)))
            except ValueError:
                raise ValueError(f"{name} is no decimal: {bytes(written)[:64].decode(errors='replace')}") from None
    return found
