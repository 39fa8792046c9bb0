"""
Rows as clients see them (http-api 13.5, 14): encoding one of these with msgspec gives the JSON of the wire, key by key.

Declarations and `meta` are `Raw`: the text of the database goes into the answer as it is, neither decoded nor encoded again.
"""

from typing import Final, Generic, Self, TypeVar

import msgspec
from attrs import field, frozen
from msgspec import Raw, Struct

from difyd.wire.text import Pieces

R = TypeVar("R")
_CUT: Final = b"\0"
"""Never in JSON."""


class Declared(Struct, frozen=True, dict=True):
    """A record with a member `declaration`, which is nearly all of its JSON."""

    def hold(self, declaration: bytes) -> Self:
        """Itself; `declaration`, which is what the member says, becomes one of its pieces and is not copied."""
        head, _, tail = msgspec.json.encode(msgspec.structs.replace(self, declaration=Raw(_CUT))).partition(_CUT)
        vars(self)["pieces"] = head, declaration, tail
        return self

    @property
    def pieces(self) -> Pieces:
        """Its JSON."""
        pieces: Pieces = vars(self)["pieces"]
        return pieces


class InstallationRecord(Declared, frozen=True):
    """A plugin in the lists of http-api 14.1 and 14.2; `version` is the declaration's."""

    id: str
    name: str
    plugin_id: str
    tenant_id: str
    plugin_unique_identifier: str
    endpoints_active: int
    endpoints_setups: int
    installation_id: str
    declaration: Raw
    runtime_type: str
    version: str
    created_at: str
    updated_at: str
    source: str
    checksum: str
    meta: Raw


class BatchRecord(Declared, frozen=True):
    """A plugin fetched by its id (http-api 14.4); `version` is the identifier's."""

    id: str
    created_at: str
    updated_at: str
    tenant_id: str
    plugin_id: str
    plugin_unique_identifier: str
    runtime_type: str
    endpoints_setups: int
    endpoints_active: int
    source: str
    meta: Raw
    version: str
    checksum: str
    declaration: Raw


class MissingRecord(Struct, frozen=True):
    """A version that a tenant lacks, and the one that it has instead, or "" (http-api 14.5)."""

    plugin_unique_identifier: str
    current_identifier: str


class ProviderRecord(Declared, frozen=True):
    """A provider of tools, models, datasources or triggers (http-api 14.11-14.14); `declaration` is that part of the plugin's."""

    id: str
    created_at: str
    updated_at: str
    tenant_id: str
    provider: str
    plugin_unique_identifier: str
    plugin_id: str
    declaration: Raw


class AgentRecord(ProviderRecord, frozen=True):
    """A provider of agent strategies: with the declaration's `meta` object."""

    meta: Raw


class BindingRecord(Struct, frozen=True):
    """Which installation stands behind a model provider (http-api 14.12)."""

    provider: str
    installation_id: str
    plugin_id: str
    plugin_unique_identifier: str
    runtime_type: str
    source: str
    version: str
    verified: bool


class TaskEntry(Struct, frozen=True):
    """One plugin of an install task (state-and-cluster 6.2)."""

    plugin_unique_identifier: str = ""
    labels: dict[str, str] = {}
    icon: str = ""
    icon_dark: str = ""
    plugin_id: str = ""
    status: str = "pending"
    message: str = ""
    source: str = ""


class TaskRecord(Struct, frozen=True):
    """An install task; `plugins` is never null, and every `status` one of `pending`, `running`, `success`, `failed`."""

    id: str
    created_at: str
    updated_at: str
    status: str
    tenant_id: str
    total_plugins: int
    completed_plugins: int
    plugins: list[TaskEntry]


@frozen
class Page(Generic[R]):
    """What a listing found."""

    records: list[R]
    total: int = 0
    """All that there is, of which this is one page; only where the wire asks for it."""
    more: bool = False
    """Is there anything after this page? Only where the wire asks for it."""
    broken: tuple[str, ...] = field(default=(), kw_only=True)
    """Identifiers of rows left out because their declaration cannot be read; for the log."""
