"""Triggers: subscriptions and their events (package-format 16)."""

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from difyd.package.documents.source import Node, Problem, Source, Unfit
from difyd.package.kinds.kind import Kind, identity_icons, inherit_identity
from difyd.package.schema.newer import OF_PARAMETERS
from difyd.package.schema.references import Items
from difyd.package.schema.rules import name, one_of, required
from difyd.package.schema.shared import (
    AUTO_GENERATE,
    I18N,
    ITEM_IDENTITY,
    KNOWN_TAGS,
    OAUTH,
    TAG_LIST,
    TEMPLATE,
    ConfigFields,
    omitted,
)
from difyd.package.schema.types import (
    Anything,
    Field,
    Flag,
    FreeObject,
    Integer,
    ListOf,
    Number,
    Optional,
    Record,
    Text,
    Type,
    is_empty,
    is_none,
)


@frozen
class _Part:
    """A part of a provider whose errors are announced by its name."""

    name: str
    kind: Type

    def read(self, source: Source, node: Node) -> Any:
        try:
            return self.kind.read(source, node)
        except Unfit as why:
            raise source.unfit(node, f"failed to parse {self.name}: {source.describe(why)}", final=True) from why

    def empty(self) -> Any:
        return self.kind.empty()

    def check(self, value: Any) -> Iterator[Problem]:
        yield from self.kind.check(value)


_TYPES: Final = "string number boolean select file files model-selector app-selector object array dynamic-select checkbox"
_OPTION: Final = Record("EventOption", (Field("label", I18N), Field("value", Anything())))
_PARAMETER: Final = Record(
    "EventParameter",
    (
        Field("name", Text(), (required,)),
        Field("label", I18N),
        Field("type", Text(), (required, one_of(_TYPES))),
        Field("auto_generate", AUTO_GENERATE, omit=is_none),
        Field("template", TEMPLATE, omit=is_none),
        omitted("scope", Text()),
        Field("required", Flag()),
        Field("multiple", Flag(), omit=is_empty),
        Field("default", Anything(), omit=is_none),
        omitted("min", Number()),
        omitted("max", Number()),
        omitted("precision", Integer()),
        Field("options", ListOf(_OPTION), omit=is_empty),
        omitted("description", I18N),
        *OF_PARAMETERS,
    ),
)
_EVENT: Final = Record(
    "EventDeclaration",
    (
        Field("identity", ITEM_IDENTITY),
        Field("parameters", ListOf(_PARAMETER)),
        Field("description", I18N),
        Field("output_schema", FreeObject(), omit=is_empty),
    ),
)
_CONSTRUCTOR: Final = Record(
    "SubscriptionConstructor",
    (
        Field("parameters", _Part("subscription_constructor.parameters", ListOf(_PARAMETER, list))),
        Field("credentials_schema", _Part("subscription_constructor.credentials_schema", ConfigFields(strict=True))),
        Field("oauth_schema", _Part("subscription_constructor.oauth_schema", OAUTH), omit=is_none),
    ),
)


@frozen
class _OnlyMapping:
    """A subscription constructor counts only when it is a mapping."""

    def read(self, source: Source, node: Node) -> Any:
        return _CONSTRUCTOR.read(source, node) if source.is_mapping(node) else None

    def empty(self) -> None:
        return None

    def check(self, value: Any) -> Iterator[Problem]:
        yield from Optional(_CONSTRUCTOR).check(value)


_PROVIDER: Final = Record(
    "TriggerProviderDeclaration",
    (
        Field(
            "identity",
            Record(
                "TriggerProviderIdentity",
                (
                    Field("author", Text(), (required,)),
                    Field("name", Text(), (required, name)),
                    Field("description", I18N),
                    Field("icon", Text()),  # the SDK lets it be null (package-format 25.19)
                    Field("icon_dark", Text()),
                    Field("label", I18N),
                    Field("tags", TAG_LIST, KNOWN_TAGS),
                ),
            ),
        ),
        Field("subscription_schema", _Part("subscription_schema", ConfigFields(strict=True)), descend=False, needed=True),
        Field("subscription_constructor", _OnlyMapping()),
        Field("events", Items(_EVENT, "event")),
    ),
)

TRIGGER: Final = Kind("trigger", "triggers", "trigger", _PROVIDER, identity_icons("trigger"), inherit_identity)
