"""Readmes by version and language, filled on the first request (package-format 19)."""

from collections.abc import Mapping

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction


def get_blocking(transaction: Transaction, identifier: PluginIdentifier) -> dict[str, str]:
    """Contents by language; empty when none were kept."""
    raise NotImplementedError


def add_blocking(transaction: Transaction, identifier: PluginIdentifier, contents: Mapping[str, str]) -> None:
    """Keep those that are not kept yet. Names of languages longer than ten characters, the column's width, are left out."""
    raise NotImplementedError
