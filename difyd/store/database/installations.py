"""Who has which plugin: install, upgrade, uninstall, and the look-ups of calls (state-and-cluster 5.3-5.8)."""

from collections.abc import Iterable

from attrs import frozen

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import DaemonError
from difyd.store.database.engine import Transaction


class AlreadyInstalled(DaemonError):
    """The tenant has this plugin id already, in whatever version. Callers of an install take it for a success."""

    def __init__(self, installation: Installation) -> None:
        super().__init__("plugin already installed")
        self.installation = installation


@frozen
class Upgraded:
    """An installation that has just got another version."""

    installation: Installation
    """As it is now."""
    gone: PluginIdentifier | None
    """The old version, if nobody has it any more: its rows are deleted, its installed copy and its process may go."""
    models: bool
    """Had or has it models, so that the tenant's list of models has changed?"""


@frozen
class Removed:
    """An installation that has just been removed."""

    installation: Installation
    last: bool
    """Nobody has this version any more: its rows are deleted, its installed copy and its process may go."""
    models: bool


@frozen
class Repair:
    """One thing that `repair_blocking` put right, for the log."""

    identifier: str
    was: int
    """`refers` as it stood; -1 when there was no row."""
    now: int
    """The number of installations; 0 when the row is deleted."""


def find_blocking(transaction: Transaction, tenant: str, plugin_id: str) -> Installation | None:
    """What the tenant has of a plugin, in whatever version: the look-up behind a call."""
    raise NotImplementedError


def find_many_blocking(transaction: Transaction, tenant: str, plugin_ids: Iterable[str]) -> dict[str, Installation]:
    """The same for several plugins in one statement, by plugin id; those that the tenant lacks are left out."""
    raise NotImplementedError


def by_id_blocking(transaction: Transaction, tenant: str, installation_id: str) -> Installation | None:
    raise NotImplementedError


def by_identifier_blocking(transaction: Transaction, tenant: str, identifier: PluginIdentifier) -> Installation | None:
    """The installation of exactly this version."""
    raise NotImplementedError


def in_use_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bool:
    """Has any tenant this version installed (http-api 14.7)?"""
    raise NotImplementedError


def identifiers_blocking(transaction: Transaction, runtime: RuntimeType) -> list[PluginIdentifier]:
    """All versions that somebody has installed and that run this way, in the order of their first installation."""
    raise NotImplementedError


def install_blocking(
    transaction: Transaction,
    tenant: str,
    identifier: PluginIdentifier,
    declaration: Declaration,
    *,
    runtime: RuntimeType,
    source: str,
    meta: bytes = b"{}",
) -> Installation:
    """
    Write the rows of one tenant's installation (5.3): plugin, installation, one row per kind of provider.

    `meta` is the JSON object that the caller gave, kept as it is. The endpoint counters start with what earlier installations of this plugin
    id have left (12.1). For `remote` the declaration is kept in the `plugins` row. Raises AlreadyInstalled.
    """
    raise NotImplementedError


def upgrade_blocking(
    transaction: Transaction,
    tenant: str,
    old: PluginIdentifier,
    new: PluginIdentifier,
    declaration: Declaration,
    *,
    runtime: RuntimeType,
    source: str,
    meta: bytes = b"{}",
) -> Upgraded:
    """
    Point a tenant's installation at another version (5.6). `declaration` is the new version's, `runtime` how new `plugins` rows run.

    Id, time of creation, endpoint counters and runtime type of the installation stay. Raises PluginNotFound with the text
    `plugin has not been installed` when the tenant does not have `old` (any more).
    """
    raise NotImplementedError


def uninstall_blocking(transaction: Transaction, tenant: str, installation_id: str) -> Removed | None:
    """Remove an installation and, with the last one, its version (5.7); None when the tenant has no such installation. Endpoints stay."""
    raise NotImplementedError


def repair_blocking(transaction: Transaction) -> list[Repair]:
    """Make `refers` of every version the number of its installations (12.1); for the start of a daemon."""
    raise NotImplementedError
