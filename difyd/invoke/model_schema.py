"""The answer of a model provider that describes one of its models (http-api 8.7)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from difyd.errors import BadPackage, MalformedChunk
from difyd.invoke.fields import NULL, Members, encode
from difyd.invoke.schemas import ModelType
from difyd.package.registration import complete_model


class _Identity(Struct, frozen=True):
    """What a model cannot be without. Those in packages are not held to it (package-format 12.4), those in answers are."""

    model: Annotated[str, Meta(min_length=1, max_length=255)]
    model_type: ModelType
    fetch_from: Literal["predefined-model", "customizable-model"]


_members = msgspec.json.Decoder(Members)


def model_schema(chunk: Raw) -> Raw:
    """
    A check of chunks: the schema is a declaration that names its model, and gets the defaults of one; there may be none.

    Members that we do not know, in it and beside it, are kept.
    """
    try:
        members = _members.decode(chunk)
    except (ValueError, RecursionError) as why:
        raise MalformedChunk(str(why)) from None
    schema = members.get("model_schema", NULL)
    if schema != NULL:
        try:
            model = complete_model(bytes(schema))
            msgspec.convert(model, _Identity)
            schema = encode({**_members.decode(schema), **model})
        except (BadPackage, msgspec.ValidationError) as why:
            raise MalformedChunk(str(why)) from None
    return encode({**members, "model_schema": schema})
