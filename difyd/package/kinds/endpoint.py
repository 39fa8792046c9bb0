"""Groups of HTTP endpoints (package-format 14)."""

from collections.abc import Mapping
from typing import Any, Final

from difyd.package.kinds.kind import Kind
from difyd.package.schema.references import Items
from difyd.package.schema.rules import one_of, required
from difyd.package.schema.shared import CONFIG_LIST
from difyd.package.schema.types import Field, Flag, Record, Text

_ENDPOINT: Final = Record(
    "EndpointDeclaration",
    (
        Field("path", Text(), (required,)),
        # PATCH is ours: the endpoint proxy serves it, and the SDK lets it be declared (package-format 25.19)
        Field("method", Text(), (required, one_of("HEAD GET POST PUT PATCH DELETE OPTIONS"))),
        Field("hidden", Flag()),
    ),
)
_GROUP: Final = Record(
    "EndpointProviderDeclaration",
    (Field("settings", CONFIG_LIST), Field("endpoints", Items(_ENDPOINT, "endpoint"))),
)


def _null_without_endpoints(group: dict[str, Any], _manifest: Mapping[str, Any]) -> None:
    group["endpoints"] = group["endpoints"] or None


ENDPOINT: Final = Kind("endpoint", "endpoints", "endpoint", _GROUP, complete=_null_without_endpoints)
