"""The manifest of a plugin: its fields, and the rules across them (package-format 7, 8)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from difyd.package.errors import IllegalManifest
from difyd.package.kinds import BY_NAME
from difyd.package.schema import rules
from difyd.package.schema.rules import at_most, between, each, given, not_null, one_of, required
from difyd.package.schema.shared import I18N, KNOWN_TAGS, TAG_LIST, omitted, optional
from difyd.package.schema.types import Field, Flag, Integer, ListOf, Optional, Record, Text, Time, is_none

_ENABLED: Final = Field("enabled", Flag())
_FLAG: Final = Record("Permission", (_ENABLED,))
_MODEL_FLAGS: Final = ("llm", "text_embedding", "rerank", "tts", "speech2text", "moderation")
_PERMISSION: Final = Record(
    "PluginPermissionRequirement",
    (
        omitted("tool", _FLAG),
        omitted("model", Record("ModelPermission", (_ENABLED, *(Field(flag, Flag()) for flag in _MODEL_FLAGS)))),
        omitted("node", _FLAG),
        omitted("endpoint", _FLAG),
        omitted("app", _FLAG),
        omitted(
            "storage",
            Record("StoragePermission", (_ENABLED, Field("size", Integer(0, (1 << 64) - 1), (between(1 << 10, 1 << 30),)))),
        ),
    ),
)
_RESOURCE: Final = Record("PluginResourceRequirement", (Field("memory", Integer(), (required,)), omitted("permission", _PERMISSION)))
_FILES: Final = Record(
    "PluginExtensions",
    tuple(
        Field(name, ListOf(Text()), (each(at_most(128)),))
        for name in ("tools", "models", "endpoints", "agent_strategies", "datasources", "triggers")
    ),
)


def _no_empty_version(meta: dict[str, Any]) -> None:
    """Clients parse what is there, and fail every list with this plugin in it for an empty text (dify-client 8.1)."""
    meta["minimum_dify_version"] = meta["minimum_dify_version"] or None


_META: Final = Record(
    "PluginMeta",
    (
        Field("version", Text(), (required, rules.version)),
        Field("arch", ListOf(Text()), (not_null, each(one_of("amd64 arm64")))),
        Field(
            "runner",
            Record(
                "PluginRunner",
                (
                    Field("language", Text(), (required, one_of("python"))),
                    Field("version", Text(), (required, at_most(128))),
                    Field("entrypoint", Text(), (required, at_most(256))),
                ),
            ),
        ),
        optional("minimum_dify_version", Text()),
    ),
    _no_empty_version,
)
MANIFEST: Final = Record(
    "PluginDeclaration",
    (
        Field("version", Text(), (required, rules.version)),
        Field("type", Text(), (required, one_of("plugin"))),
        Field("author", Text(), (at_most(64),)),
        Field("name", Text(), (required, at_most(128))),
        Field("label", I18N),
        Field("description", I18N),
        Field("icon", Text(), (required, at_most(128))),
        Field("icon_dark", Text(), (at_most(128),)),
        Field("resource", _RESOURCE),
        Field("plugins", _FILES),
        Field("meta", _META),
        Field("tags", TAG_LIST, KNOWN_TAGS),
        Field("created_at", Time(), (given,)),
        omitted("privacy", Text()),
        omitted("repo", Text(), rules.url),
    ),
)
"""As a debugging connection sends it: kinds inside of it do not count (debug-runtime 14.10)."""
_IN_JSON: Final = ("endpoint", "model", "tool", "agent_strategy", "datasource", "trigger")
"""The kinds in the order in which declarations show them."""
MANIFEST_FILE: Final = Record(
    MANIFEST.name,
    (*MANIFEST.fields, *(Field(name, Optional(BY_NAME[name].provider), omit=is_none) for name in _IN_JSON)),
)
"""As it stands in `manifest.yaml`, maybe with kinds written in place (package-format 7.6)."""

_AUTHOR: Final = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9_-]{1,128}", re.ASCII)
_ALONE: Final = (
    ("model", "datasource, tool, endpoint, trigger, or agent_strategy"),
    ("agent_strategy", "tool, model, endpoint, trigger, or datasource"),
    ("datasource", "tool, model, endpoint, trigger, or agent_strategy"),
    ("trigger", "tool, model, endpoint, or agent_strategy"),
)


def check_manifest(author: str, name: str, kinds: Iterable[str]) -> None:
    """Hold author, name and the plugin's kinds against the rules. Raises IllegalManifest with the first rule broken (package-format 8)."""
    if not _AUTHOR.fullmatch(author):
        raise IllegalManifest("author must be alphanumeric and less than 64 characters: ^[a-z0-9_-]{1,64}$")
    if not _NAME.fullmatch(name):
        raise IllegalManifest("plugin name must be alphanumeric and less than 128 characters: ^[a-z0-9_-]{1,128}$")
    found = set(kinds)
    if not found:
        raise IllegalManifest("at least one of endpoint, model, tool, agent_strategy, trigger, or datasource must be provided")
    for kind, others in _ALONE:
        if kind in found and len(found) > 1:
            raise IllegalManifest(f"{kind} and {others} cannot be provided at the same time")


def assemble(manifest: Mapping[str, Any], providers: Mapping[str, dict[str, Any]], *, verified: bool) -> dict[str, Any]:
    """
    The declaration of a plugin: its manifest, `verified`, its providers by kind, completed from the manifest (package-format 9).

    The providers are changed in place.
    """
    head = {name: value for name, value in manifest.items() if name not in BY_NAME}
    for kind, provider in providers.items():
        BY_NAME[kind].complete(provider, head)
    return {**head, "verified": verified, **{kind: providers[kind] for kind in _IN_JSON if kind in providers}}


def kinds_of(declaration: Mapping[str, Any]) -> list[str]:
    """The kinds that a declaration has."""
    return [kind for kind in _IN_JSON if kind in declaration]
