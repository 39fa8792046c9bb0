"""Declarations as they were uploaded: JSON texts by identifier, kept and handed out as they are (state-and-cluster 3.2, 5.2)."""

from collections.abc import Iterable

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction


def get_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bytes | None:
    """The declaration of an uploaded plugin, else that of one being debugged, else None."""
    raise NotImplementedError


def get_many_blocking(transaction: Transaction, identifiers: Iterable[PluginIdentifier]) -> dict[PluginIdentifier, bytes]:
    """The same for several in one statement; those that are not there are left out."""
    raise NotImplementedError


def add_blocking(transaction: Transaction, identifier: PluginIdentifier, text: bytes) -> bool:
    """Keep a declaration unless there is one: the first upload wins. Was this the first?"""
    raise NotImplementedError


def remove_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bool:
    """Take back what `add_blocking` wrote, for an upload that failed; refused (False) once somebody has the version installed."""
    raise NotImplementedError
