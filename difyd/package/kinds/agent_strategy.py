"""Agent strategies (package-format 13)."""

from typing import Final

from difyd.package.kinds.kind import Kind, identity_icons
from difyd.package.schema.newer import OF_PARAMETERS
from difyd.package.schema.references import Items
from difyd.package.schema.rules import each, one_of, required, scalar, shorter
from difyd.package.schema.shared import (
    AUTO_GENERATE,
    I18N,
    ITEM_IDENTITY,
    OPTION,
    PROVIDER_IDENTITY,
    SCOPE,
    TEMPLATE,
    optional,
)
from difyd.package.schema.types import Anything, Field, Flag, FreeObject, Integer, ListOf, Number, Record, Text

_TYPES: Final = "string number boolean select secret-input file files app-selector model-selector array[tools] any"
_PARAMETER: Final = Record(
    "AgentStrategyParameter",
    (
        Field("name", Text(), (required, shorter(1024))),
        Field("label", I18N),
        Field("help", I18N, unless_empty=True),
        Field("type", Text(), (required, one_of(_TYPES))),
        Field("auto_generate", AUTO_GENERATE),
        Field("template", TEMPLATE),
        SCOPE,
        Field("required", Flag()),
        Field("default", Anything(), (scalar,)),
        optional("min", Number()),
        optional("max", Number()),
        optional("precision", Integer()),
        Field("options", ListOf(OPTION)),
        *OF_PARAMETERS,
    ),
)
_STRATEGY: Final = Record(
    "AgentStrategyDeclaration",
    (
        Field("identity", ITEM_IDENTITY),
        Field("description", I18N),
        Field("parameters", ListOf(_PARAMETER)),
        Field("output_schema", FreeObject()),
        Field("features", ListOf(Text(), list), (each(shorter(256)),)),
    ),
)
_PROVIDER: Final = Record(
    "AgentStrategyProviderDeclaration",
    (Field("identity", PROVIDER_IDENTITY), Field("strategies", Items(_STRATEGY, "agent strategy"))),
)

AGENT_STRATEGY: Final = Kind("agent_strategy", "agent_strategies", "agent strategy", _PROVIDER, identity_icons("agent"))
