"""The answer of a model provider that describes one of its models (http-api 8.7)."""

import msgspec
from msgspec import Raw

from difyd.errors import BadPackage, MalformedChunk
from difyd.invoke.fields import NULL, Members, encode
from difyd.package.registration import complete_model

_members = msgspec.json.Decoder(Members)


def model_schema(chunk: Raw) -> Raw:
    """A check of chunks: the schema is held to the rules of a declaration and gets its defaults; there may be none."""
    try:
        members = _members.decode(chunk)
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    schema = members.get("model_schema", NULL)
    if schema != NULL:
        try:
            schema = Raw(msgspec.json.encode(complete_model(bytes(schema))))
        except BadPackage as why:
            raise MalformedChunk(str(why)) from None
    return encode({**members, "model_schema": schema})
