"""The answer of a model provider that describes one of its models (http-api 8.7)."""

from msgspec import Raw


def model_schema(chunk: Raw) -> Raw:
    """A check of chunks: the schema gets the defaults of a declaration."""
    raise NotImplementedError
