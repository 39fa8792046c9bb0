"""Readmes by version and language, filled on the first request (package-format 19)."""

import uuid
from collections.abc import Mapping
from typing import Final

from sqlalchemy import select

from difyd.entities.identifier import PluginIdentifier
from difyd.store.database.engine import Transaction
from difyd.store.database.statements import insert_absent
from difyd.store.database.tables import plugin_readme_records

_LANGUAGE: Final = 10
"""Characters that the column holds."""
_IDS: Final = uuid.UUID("5f0c3b52-6a0e-4d3c-9d5e-3f1f6b0f7a11")


def get_blocking(transaction: Transaction, identifier: PluginIdentifier) -> dict[str, str]:
    """Contents by language; empty when none were kept."""
    table = plugin_readme_records
    statement = select(table.c.language, table.c.content).where(table.c.plugin_unique_identifier == identifier.text)
    found: dict[str, str] = {}
    for language, content in transaction.connection.execute(statement.order_by(table.c.created_at, table.c.id)):
        found.setdefault(language, content)
    return found


def add_blocking(transaction: Transaction, identifier: PluginIdentifier, contents: Mapping[str, str]) -> dict[str, str]:
    """
    Keep those that are not kept yet; what is kept. Names of languages longer than ten characters, the column's width, are left out.

    Nothing makes (version, language) unique, so the id is made of them: the second of two first requests finds it taken.
    """
    for language, content in contents.items():
        if len(language) <= _LANGUAGE:
            stamps = transaction.stamps() | {"id": str(uuid.uuid5(_IDS, f"{identifier}/{language}"))}
            insert_absent(
                transaction.connection,
                plugin_readme_records,
                **stamps,
                plugin_unique_identifier=identifier.text,
                language=language,
                content=content,
            )
    return get_blocking(transaction, identifier)
