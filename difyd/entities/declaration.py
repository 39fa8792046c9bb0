"""
A plugin's declaration, opened as far as the daemon itself has to look into it.

The JSON text (package-format 5-19, http-api Appendix A) is made once, by `difyd.package` from a package or by the debugging server from a
registration, stored and served as it is; nothing downstream rebuilds it. What the daemon decides on is read through `Declaration`.
"""

from typing import Any, Final, Self

import msgspec
from attrs import field, frozen
from msgspec import Raw, Struct

I18n = dict[str, str]
ABSENT: Final = Raw(b"")
"""A member of a declaration that is not there."""


class Runner(Struct, frozen=True):
    language: str = ""
    version: str = ""
    entrypoint: str = ""


class Meta(Struct, frozen=True):
    runner: Runner = Runner()
    minimum_dify_version: str | None = None


class Flag(Struct, frozen=True):
    enabled: bool = False


class ModelPermission(Struct, frozen=True):
    enabled: bool = False
    llm: bool = False
    text_embedding: bool = False
    rerank: bool = False
    tts: bool = False
    speech2text: bool = False
    moderation: bool = False


class StoragePermission(Struct, frozen=True):
    enabled: bool = False
    size: int = 0
    """Bytes that the plugin may keep."""


class Permissions(Struct, frozen=True):
    """What the plugin may ask of Dify; all false when the manifest is silent (package-format 7.1)."""

    tool: Flag | None = None
    model: ModelPermission | None = None
    node: Flag | None = None
    endpoint: Flag | None = None
    app: Flag | None = None
    storage: StoragePermission | None = None


class Resource(Struct, frozen=True):
    memory: int = 0
    permission: Permissions | None = None


class PluginFiles(Struct, frozen=True):
    """The declaration files that the manifest lists, by kind."""

    tools: list[str] | None = None
    models: list[str] | None = None
    endpoints: list[str] | None = None
    agent_strategies: list[str] | None = None
    datasources: list[str] | None = None
    triggers: list[str] | None = None


class _Identity(Struct, frozen=True):
    name: str = ""


class _Provider(Struct, frozen=True):
    """The provider's name: models keep it in `provider`, all other kinds in their identity."""

    identity: _Identity = _Identity()
    provider: str = ""


class _View(Struct, frozen=True):
    version: str = ""
    author: str = ""
    name: str = ""
    label: I18n = {}
    description: I18n = {}
    icon: str = ""
    icon_dark: str = ""
    verified: bool = False
    tags: list[str] = []
    meta: Meta = Meta()
    resource: Resource = Resource()
    plugins: PluginFiles = PluginFiles()
    tool: Raw = ABSENT
    model: Raw = ABSENT
    agent_strategy: Raw = ABSENT
    datasource: Raw = ABSENT
    trigger: Raw = ABSENT
    endpoint: Raw = ABSENT


_view = msgspec.json.Decoder(_View)
_provider = msgspec.json.Decoder(_Provider)

PROVIDER_KINDS: Final = ("tool", "model", "agent_strategy", "datasource", "trigger")
"""The kinds that have a provider and therefore a table of installations."""
_CATEGORIES: Final = (
    ("tool", "tools", "tool"),
    ("model", "models", "model"),
    ("datasource", "datasources", "datasource"),
    ("agent_strategy", "agent_strategies", "agent-strategy"),
    ("trigger", "triggers", "trigger"),
)


@frozen
class Declaration:
    """One declaration: `text` is the JSON as it is stored and served, `view` the parts that the daemon reads."""

    text: bytes = field(repr=False)
    view: _View = field(repr=False, eq=False)

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Raises msgspec.DecodeError when `text` is no declaration (a row that somebody else wrote)."""
        return cls(text, _view.decode(text))

    def part(self, kind: str) -> bytes | None:
        """The JSON of one kind (`tool`, `model`, `agent_strategy`, `datasource`, `trigger`, `endpoint`), or None when the plugin lacks it."""
        raw = bytes(getattr(self.view, kind))
        return None if raw in (b"", b"null") else raw

    def kinds(self) -> tuple[str, ...]:
        """The kinds with a provider that this plugin has."""
        return tuple(kind for kind in PROVIDER_KINDS if self.part(kind) is not None)

    def provider(self, kind: str) -> str:
        """The name under which the provider of this kind is known to Dify; "" when there is none."""
        raw = self.part(kind)
        if raw is None:
            return ""
        provider = _provider.decode(raw)
        return provider.provider if kind == "model" else provider.identity.name

    @property
    def category(self) -> str:
        """`tool`, `model`, `datasource`, `agent-strategy`, `trigger`, else `extension` (package-format 8)."""
        for kind, files, name in _CATEGORIES:
            if self.part(kind) is not None or getattr(self.view.plugins, files):
                return name
        return "extension"

    @property
    def permissions(self) -> Permissions:
        return self.view.resource.permission or Permissions()

    def open(self, kind: str) -> Any:
        """The part of one kind as plain Python values, or None; for the rare reader that needs all of it."""
        raw = self.part(kind)
        return None if raw is None else msgspec.json.decode(raw)
