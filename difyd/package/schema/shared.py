"""The objects that several kinds of plugins share (package-format 10), each once."""

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from difyd.package.documents.source import Node, Problem, Source
from difyd.package.schema import newer, rules
from difyd.package.schema.rules import at_most, each, one_of, required, scalar, shorter
from difyd.package.schema.types import Anything, Field, Flag, ListOf, Optional, Record, Text, is_empty, is_none, read_all

LANGUAGES: Final = ("en_US", "ja_JP", "zh_Hans", "pt_BR")
I18N: Final = Record(
    "I18nObject",
    (
        Field("en_US", Text(), (required, shorter(1024))),
        *(Field(language, Text(), (shorter(1024),), omit=is_empty) for language in LANGUAGES[1:]),
    ),
)

_TAGS: Final = (
    "search image videos weather finance design travel social news medical productivity education business entertainment utilities agent rag "
    "other trigger"
)
TAGS: Final = tuple(_TAGS.split())
"""What a plugin can be tagged with (package-format 7.4)."""
TAG_LIST: Final = ListOf(Text(), list)
KNOWN_TAGS: Final = (each(one_of(_TAGS)),)


_CONFIG_OPTION: Final = Record("ConfigOption", (Field("value", Text(), (required, shorter(128))), Field("label", I18N)))
CONFIG: Final = Record(
    "ProviderConfig",
    (
        Field("name", Text(), (shorter(1024),)),
        Field("type", Text(), (required, one_of("secret-input text-input select boolean model-selector app-selector array[tools]"))),
        Field("scope", Optional(Text()), scopes=rules.CONFIG_SCOPES),
        Field("required", Flag()),
        Field("default", Anything(), (scalar,)),
        Field("options", ListOf(_CONFIG_OPTION), (shorter(128),)),
        Field("multiple", Flag()),
        Field("label", I18N),
        Field("help", Optional(I18N)),
        Field("url", Optional(Text())),
        Field("placeholder", Optional(I18N)),
    ),
)
"""A field of credentials, settings or subscriptions (package-format 10.2)."""
CONFIG_LIST: Final = ListOf(CONFIG, list)


@frozen
class ConfigFields:
    """Provider configs as a list, or in the older form as a mapping by name, whose order counts (package-format 10.2)."""

    strict: bool = False
    """Is an entry without fields an error (triggers), or passed over? In files the same for what is neither list nor mapping."""

    def read(self, source: Source, node: Node) -> list[Any]:
        if not source.is_mapping(node):
            passed_over = source.has_files and not self.strict and not source.is_list(node)
            return [] if passed_over else CONFIG_LIST.read(source, node)
        members = source.members(node, "ProviderConfig")
        for key, entry in members.items():
            if self.strict and not source.is_mapping(entry):
                raise source.unfit(entry, f"expected mapping value for key {key}", final=True)
        named = [(key, entry) for key, entry in members.items() if source.is_mapping(entry)]
        return read_all(named, lambda pair: {**CONFIG.read(source, pair[1]), "name": pair[0]})

    def empty(self) -> list[Any]:
        return []

    def check(self, value: Any) -> Iterator[Problem]:
        yield from CONFIG_LIST.check(value)


OAUTH: Final = Optional(Record("OAuthSchema", (Field("client_schema", CONFIG_LIST), Field("credentials_schema", CONFIG_LIST))))
"""Lists that nobody wrote are empty ones: the API's models refuse null (package-format 25.13)."""

OPTION: Final = Record(
    "ParameterOption",
    (Field("value", Text(), (required,)), Field("label", I18N), Field("icon", Text()), *newer.OF_OPTIONS),
)
AUTO_GENERATE: Final = Optional(Record("ParameterAutoGenerate", (Field("type", Text(), (required, one_of("prompt_instruction"))),)))
TEMPLATE: Final = Optional(Record("ParameterTemplate", (Field("enabled", Flag()),)))
SCOPE: Final = Field("scope", Optional(Text()), (at_most(1024),), scopes=rules.PARAMETER_SCOPES)
"""Of tool and agent parameters."""

ITEM_IDENTITY: Final = Record(
    "Identity",
    (Field("author", Text(), (required,)), Field("name", Text(), (required, rules.name)), Field("label", I18N)),
)
"""Who a tool, a strategy or an event is."""
PROVIDER_IDENTITY: Final = Record(
    "ProviderIdentity",
    (
        Field("author", Text(), (required,)),
        Field("name", Text(), (required, rules.name)),
        Field("description", I18N),
        Field("icon", Text(), (required,)),
        Field("icon_dark", Text()),
        Field("label", I18N),
        Field("tags", TAG_LIST, KNOWN_TAGS),
    ),
)


def optional(name: str, kind: Any, *constraints: Any) -> Field:
    """A field that is null when absent."""
    return Field(name, Optional(kind), tuple(constraints))


def omitted(name: str, kind: Any, *constraints: Any) -> Field:
    """A field that is left out when absent."""
    return Field(name, Optional(kind), tuple(constraints), omit=is_none)
