"""Datasources: crawled websites, online documents, online drives (package-format 15)."""

from collections.abc import Iterator
from typing import Any, Final

from difyd.package.kinds.kind import Icon, Kind, identity_icons
from difyd.package.schema.newer import OF_PARAMETERS
from difyd.package.schema.references import Items
from difyd.package.schema.rules import not_null, one_of, required, scalar, shorter
from difyd.package.schema.shared import (
    AUTO_GENERATE,
    I18N,
    KNOWN_TAGS,
    OAUTH,
    OPTION,
    TAG_LIST,
    TEMPLATE,
    ConfigFields,
    optional,
)
from difyd.package.schema.types import Anything, Field, Flag, FreeObject, Integer, ListOf, Number, Optional, Record, Text, is_empty

_PARAMETER: Final = Record(
    "DatasourceParameter",
    (
        Field("name", Text(), (required, shorter(1024))),
        Field("label", I18N),
        Field("type", Text(), (required, one_of("string number boolean select secret-input"))),
        Field("scope", Optional(Text()), scopes={}),
        Field("required", Flag()),
        Field("auto_generate", AUTO_GENERATE),
        Field("template", TEMPLATE),
        Field("default", Anything(), (scalar,)),
        optional("min", Number()),
        optional("max", Number()),
        optional("precision", Integer()),
        Field("options", ListOf(OPTION)),
        Field("description", I18N),
        *OF_PARAMETERS,
    ),
)
_DATASOURCE: Final = Record(
    "DatasourceDeclaration",
    (
        Field(
            "identity",
            Record(
                "DatasourceIdentity",
                (
                    Field("author", Text(), (required,)),
                    Field("name", Text(), (required,)),
                    Field("label", I18N),
                    Field("icon", Text()),
                ),
            ),
        ),
        Field("parameters", ListOf(_PARAMETER), (not_null,)),
        Field("description", I18N),
        Field("output_schema", FreeObject(), omit=is_empty),
    ),
)
_PROVIDER: Final = Record(
    "DatasourceProviderDeclaration",
    (
        Field(
            "identity",
            Record(
                "DatasourceProviderIdentity",
                (
                    Field("author", Text(), (required,)),
                    Field("name", Text(), (required,)),
                    Field("description", I18N),
                    Field("icon", Text(), (required,)),
                    Field("label", I18N),
                    Field("tags", TAG_LIST, KNOWN_TAGS),
                ),
            ),
        ),
        Field("credentials_schema", ConfigFields()),
        Field("oauth_schema", OAUTH),
        Field("provider_type", Text(), (required, one_of("website_crawl online_document online_drive"))),
        Field("datasources", Items(_DATASOURCE, "datasource")),
    ),
)


def _icons(provider: dict[str, Any]) -> Iterator[Icon]:
    yield from identity_icons("datasource", dark=False)(provider)
    for datasource in provider["datasources"]:
        yield Icon(datasource["identity"], "icon", "datasource step icon")


DATASOURCE: Final = Kind("datasource", "datasources", "datasource", _PROVIDER, _icons)
