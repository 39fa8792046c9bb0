"""
What management lists (http-api 14): one statement each, or two, with all declarations fetched in them.

Pages are `OFFSET (page - 1) * size LIMIT size`, newest first by time of creation, then id, so that they are stable. A row whose
declaration cannot be read is left out and named in `Page.broken`: a console that shows 49 of 50 plugins is worth more than none.
"""

from collections.abc import Iterable, Sequence

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction
from difyd.store.database.records import (
    AgentRecord,
    BatchRecord,
    BindingRecord,
    InstallationRecord,
    MissingRecord,
    Page,
    ProviderRecord,
)

CATEGORIES = ("tool", "model", "extension", "agent-strategy", "datasource", "trigger")
"""As the wire spells them; every plugin is in exactly one."""
BATCH = 256
"""Rows of a batch look-up at most."""


@frozen
class Filter:
    """Which plugins of a category (http-api 14.2)."""

    query: str = ""
    """Part of the plugin id, the name, the label or the description, in any case; "" for all."""
    tags: frozenset[str] = field(default=frozenset(), converter=frozenset)
    """One shared tag is enough; empty for all."""
    language: str = "en_US"
    """Of the label and the description, with `en_US` standing in."""


def installed_blocking(transaction: Transaction, tenant: str, page: int, size: int) -> Page[InstallationRecord]:
    """http-api 14.1, with `total`."""
    raise NotImplementedError


def category_blocking(transaction: Transaction, tenant: str, category: str, page: int, size: int, wanted: Filter) -> Page[InstallationRecord]:
    """http-api 14.2, with `more`. `category` is one of CATEGORIES."""
    raise NotImplementedError


def plugin_ids_blocking(transaction: Transaction, tenant: str, category: str) -> list[str]:
    """http-api 14.3: newest first, each once."""
    raise NotImplementedError


def batch_blocking(transaction: Transaction, tenant: str, plugin_ids: Sequence[str]) -> Page[BatchRecord]:
    """http-api 14.4: those of them that are installed."""
    raise NotImplementedError


def missing_blocking(transaction: Transaction, tenant: str, identifiers: Sequence[PluginIdentifier]) -> list[MissingRecord]:
    """http-api 14.5: in the order asked."""
    raise NotImplementedError


def tools_exist_blocking(transaction: Transaction, tenant: str, providers: Iterable[tuple[str, str]]) -> list[bool]:
    """http-api 14.9: is there this (plugin id, provider)? In the order asked."""
    raise NotImplementedError


def providers_blocking(transaction: Transaction, tenant: str, kind: str, page: int, size: int) -> Page[ProviderRecord]:
    """http-api 14.11, 14.13. `kind` is one of `entities.declaration.PROVIDER_KINDS`; agent strategies come as AgentRecords."""
    raise NotImplementedError


def provider_blocking(transaction: Transaction, tenant: str, kind: str, plugin_id: str, provider: str) -> ProviderRecord | AgentRecord | None:
    """http-api 14.14. Raises InternalError when it is there and its declaration cannot be read."""
    raise NotImplementedError


def bindings_blocking(transaction: Transaction, tenant: str) -> Page[BindingRecord]:
    """http-api 14.12: newest installation first, the first per (plugin id, provider)."""
    raise NotImplementedError
