"""Tools (package-format 11)."""

from typing import Final

from difyd.package.kinds.kind import Kind, identity_icons, inherit_identity
from difyd.package.schema.newer import OF_PARAMETERS
from difyd.package.schema.references import Items
from difyd.package.schema.rules import one_of, required, shorter
from difyd.package.schema.shared import (
    AUTO_GENERATE,
    I18N,
    ITEM_IDENTITY,
    OAUTH,
    OPTION,
    PROVIDER_IDENTITY,
    SCOPE,
    TEMPLATE,
    ConfigFields,
    optional,
)
from difyd.package.schema.types import Anything, Field, Flag, FreeObject, Integer, ListOf, Number, Record, Text, is_empty

_TYPES: Final = (
    "string number boolean select secret-input file files app-selector model-selector any dynamic-select array object checkbox date date-range"
)
PARAMETER: Final = Record(
    "ToolParameter",
    (
        Field("name", Text(), (required, shorter(1024))),
        Field("label", I18N),
        Field("human_description", I18N),
        Field("type", Text(), (required, one_of(_TYPES))),
        SCOPE,
        Field("form", Text(), (required, one_of("schema form llm"))),
        Field("llm_description", Text()),
        Field("required", Flag()),
        Field("auto_generate", AUTO_GENERATE),
        Field("template", TEMPLATE),
        Field("default", Anything()),
        optional("min", Number()),
        optional("max", Number()),
        Field("multiple", Flag()),
        optional("precision", Integer()),
        Field("options", ListOf(OPTION)),
        *OF_PARAMETERS,
    ),
)
_DESCRIPTION: Final = Record("ToolDescription", (Field("human", I18N), Field("llm", Text(), (required,))))
_TOOL: Final = Record(
    "ToolDeclaration",
    (
        Field("identity", ITEM_IDENTITY),
        Field("description", _DESCRIPTION),
        Field("parameters", ListOf(PARAMETER)),
        Field("output_schema", FreeObject(), omit=is_empty),
        Field("has_runtime_parameters", Flag()),
    ),
)
_PROVIDER: Final = Record(
    "ToolProviderDeclaration",
    (
        Field("identity", PROVIDER_IDENTITY),
        Field("credentials_schema", ConfigFields(), also="credentials_for_provider"),
        Field("oauth_schema", OAUTH),
        Field("tools", Items(_TOOL, "tool", lenient=True)),
    ),
)

TOOL: Final = Kind("tool", "tools", "tool", _PROVIDER, identity_icons("tool"), inherit_identity)
