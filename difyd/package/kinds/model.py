"""Model providers and their models (package-format 12)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from difyd.package.documents.source import Node, Problem, Source, Unfit
from difyd.package.errors import UnreadablePackage
from difyd.package.kinds.kind import Icon, Kind
from difyd.package.kinds.parameter_rules import PARAMETER_RULE
from difyd.package.kinds.patterns import BadPattern, compiled
from difyd.package.schema.references import FileReader
from difyd.package.schema.rules import at_most, each, not_null, one_of, required, shorter
from difyd.package.schema.shared import I18N, omitted, optional
from difyd.package.schema.types import Field, Flag, FreeObject, Integer, ListOf, Optional, Price, Record, Text, Type, read_value

_POSITION_FILE: Final = "_position.yaml"
_MAX_MATCHES: Final = 2_000_000
"""Files times patterns: some seconds of matching."""
_GROUPS: Final = {
    "llm": "llm",
    "text_embedding": "text embedding",
    "rerank": "rerank",
    "tts": "tts",
    "speech2text": "speech2text",
    "moderation": "moderation",
}
"""The types under which `models` groups its files, and what they are called in errors."""


def _label_by_name(model: dict[str, Any]) -> None:
    model["label"]["en_US"] = model["label"]["en_US"] or model["model"]
    model["fetch_from"] = model["fetch_from"] or "predefined-model"


_PRICING: Final = Record(
    "ModelPricing",
    (Field("input", Price()), Field("output", Optional(Price())), Field("unit", Price()), Field("currency", Text())),
)
MODEL: Final = Record(
    "ModelDeclaration",
    (
        Field("model", Text()),
        Field("label", I18N),
        Field("model_type", Text()),
        Field("features", ListOf(Text())),
        Field("fetch_from", Text()),
        Field("model_properties", FreeObject(dict)),
        Field("deprecated", Flag()),
        Field("parameter_rules", ListOf(PARAMETER_RULE, list)),
        Field("pricing", Optional(_PRICING)),
    ),
    _label_by_name,
)
"""A model is not held to rules, not even at registration (package-format 12.4)."""

_SHOW_ON: Final = Record(
    "FormShowOn",
    (Field("variable", Text(), (required, shorter(256))), Field("value", Text(), (required, shorter(256)))),
)
_SHOW_ON_LIST: Final = Field("show_on", ListOf(_SHOW_ON, list), (at_most(16),))
_FORM_OPTION: Final = Record("FormOption", (Field("label", I18N), Field("value", Text(), (required, shorter(256))), _SHOW_ON_LIST))
_FORM_FIELD: Final = Record(
    "CredentialFormSchema",
    (
        Field("variable", Text(), (required, shorter(256))),
        Field("label", I18N),
        Field("type", Text(), (required, one_of("text-input secret-input select radio switch"))),
        Field("required", Flag()),
        optional("default", Text(), shorter(256)),
        Field("options", ListOf(_FORM_OPTION, list), (at_most(128),)),
        optional("help", I18N),
        optional("url", Text()),
        optional("placeholder", I18N),
        Field("max_length", Integer()),
        _SHOW_ON_LIST,
    ),
)
_FORM: Final = Field("credential_form_schemas", ListOf(_FORM_FIELD, list), (at_most(32),))
_MODEL_TYPES: Final = "llm text-embedding rerank speech2text moderation tts text2img multimodal-embedding multimodal-rerank"
_ICONS: Final = ("icon_small", "icon_large", "icon_small_dark", "icon_large_dark")
_HEAD: Final = Record(
    "ModelProviderDeclaration",
    (
        Field("provider", Text(), (required, shorter(256))),
        Field("label", I18N),
        optional("description", I18N),
        *(optional(icon, I18N) for icon in _ICONS),
        optional("background", Text()),
        optional("help", Record("ModelProviderHelp", (Field("title", I18N), Field("url", I18N)))),
        Field("supported_model_types", ListOf(Text()), (not_null, at_most(16), each(one_of(_MODEL_TYPES)))),
        Field("configurate_methods", ListOf(Text()), (not_null, at_most(16), each(one_of("predefined-model customizable-model")))),
        optional("provider_credential_schema", Record("ProviderCredentialSchema", (_FORM,))),
        optional(
            "model_credential_schema",
            Record(
                "ModelCredentialSchema",
                (
                    Field("model", Record("FieldModelSchema", (Field("label", I18N), optional("placeholder", I18N)))),
                    _FORM,
                ),
            ),
        ),
    ),
)
_POSITION: Final = Record("ModelPosition", tuple(omitted(group, ListOf(Text())) for group in _GROUPS))


@frozen
class _ModelFiles:
    """The models in all files that some pattern matches, each file once and in the package's order (package-format 12.3, 25.16)."""

    patterns: tuple[str, ...]
    into: list[Any] = field(repr=False)

    def follow(self, files: FileReader) -> None:
        if len(self.patterns) * len(files.names()) > _MAX_MATCHES:
            raise UnreadablePackage(f"too many patterns: {len(self.patterns)} for {len(files.names())} files")
        try:
            patterns = [compiled(pattern) for pattern in self.patterns]
        except BadPattern as why:
            raise UnreadablePackage(str(why)) from why
        for path in files.names():
            if not path.endswith(_POSITION_FILE) and any(pattern.fullmatch(path) for pattern in patterns):
                self.into.append(files.value(path, MODEL, "model"))


@frozen
class _PositionFile:
    """A YAML list of model names: the order in which clients show them."""

    path: str
    group: str
    into: dict[str, Any] = field(repr=False)

    def follow(self, files: FileReader) -> None:
        self.into[self.group] = files.value(self.path, ListOf(Text(), list), f"{_GROUPS[self.group]} position")


_GROUP: Final = Record("ModelFiles", (Field("predefined", ListOf(Text(), list)), optional("position", Text())))
_FILES: Final = Record("ModelFiles", tuple(optional(group, _GROUP) for group in _GROUPS))


@frozen
class _Provider:
    """
    A provider and its models (package-format 12.3).

    `models` is a list of models, or in a file also a mapping that finds model files by patterns and the order of their names by position
    files. Registrations bring `position` themselves.
    """

    def read(self, source: Source, node: Node) -> dict[str, Any]:
        provider = _HEAD.read(source, node)
        members = source.members(node, _HEAD.name)
        if not source.has_files and "models" not in members:
            raise Unfit(Problem("must be there, be it empty", "models"))
        position = None if source.has_files else _member(members, "position", Optional(_POSITION), source)
        models = _member(members, "model_declarations", ListOf(MODEL, list), source)
        if source.has_files and source.is_mapping(members.get("models")):
            position = {}
            _refer(_member(members, "models", _FILES, source), models, position, source)
        else:
            models += _member(members, "models", ListOf(MODEL, list), source)
        return _made(provider, position, models)

    def empty(self) -> dict[str, Any]:
        return _made(_HEAD.empty(), None, [])

    def check(self, value: Any) -> Iterator[Problem]:
        yield from _HEAD.check(value)


def _member(members: Mapping[str, Node], name: str, kind: Type, source: Source) -> Any:
    try:
        return read_value(kind, source, members.get(name))
    except Unfit as why:
        raise why.under(name) from why


def _refer(groups: dict[str, Any], models: list[Any], position: dict[str, Any], source: Source) -> None:
    found = {name: group for name, group in groups.items() if group is not None}
    patterns = tuple(pattern for group in found.values() for pattern in group["predefined"])
    source.references.append(_ModelFiles(patterns, models))
    source.references.extend(_PositionFile(group["position"], name, position) for name, group in found.items() if group["position"])


def _made(provider: dict[str, Any], position: dict[str, Any] | None, models: list[Any]) -> dict[str, Any]:
    return {**provider, **({} if position is None else {"position": position}), "models": models}


def _icons(provider: dict[str, Any]) -> Iterator[Icon]:
    for icon in _ICONS:
        for language in ("en_US", "zh_Hans", "ja_JP", "pt_BR"):
            yield Icon(provider[icon] or {}, language, f"model {icon.replace('_', ' ')} {language}")


def _inherit_description(provider: dict[str, Any], manifest: Mapping[str, Any]) -> None:
    if provider["description"] is None:
        provider["description"] = dict(manifest["description"])


MODEL_PROVIDER: Final = Kind("model", "models", "model", _Provider(), _icons, _inherit_description)
