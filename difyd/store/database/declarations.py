"""Declarations as they were uploaded: JSON texts by identifier, kept and handed out as they are (state-and-cluster 3.2, 5.2)."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, CompoundSelect, LargeBinary, bindparam, cast, select, union_all, update

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.store.database.engine import Transaction
from difyd.store.database.statements import chunks, insert_absent
from difyd.store.database.tables import plugin_declarations, plugins

_WANTED: Final[BindParameter[str]] = bindparam("wanted", expanding=True)


def _texts(shown: Callable[[ColumnElement[str]], ColumnElement[Any]]) -> CompoundSelect[*tuple[Any, ...]]:
    """Of uploaded plugins, and of those being debugged, which keep theirs in another place."""
    return union_all(
        select(plugin_declarations.c.plugin_unique_identifier, shown(plugin_declarations.c.declaration)).where(
            plugin_declarations.c.plugin_unique_identifier.in_(_WANTED)
        ),
        select(plugins.c.plugin_unique_identifier, shown(plugins.c.remote_declaration)).where(
            plugins.c.plugin_unique_identifier.in_(_WANTED), plugins.c.install_type == RuntimeType.REMOTE.value
        ),
    )


_GET: Final = _texts(lambda column: column)
_GET_BYTES: Final = _texts(lambda column: cast(column, LargeBinary))
"""For SQLite, which keeps texts as the bytes that we want; through `str` each would be decoded and encoded again."""


def get_blocking(transaction: Transaction, identifier: PluginIdentifier) -> bytes | None:
    """The declaration of an uploaded plugin, else that of one being debugged, else None."""
    return get_many_blocking(transaction, [identifier]).get(identifier)


def get_many_blocking(transaction: Transaction, identifiers: Iterable[PluginIdentifier]) -> dict[PluginIdentifier, bytes]:
    """The same for several in one statement; those that are not there are left out."""
    by_text = {identifier.text: identifier for identifier in identifiers}
    return {by_text[text]: declaration for text, declaration in texts_blocking(transaction, by_text).items()}


def texts_blocking(transaction: Transaction, identifiers: Iterable[str]) -> dict[str, bytes]:
    """The same by the identifiers' text, which may be none in a row of somebody else's."""
    found: dict[str, bytes] = {}
    statement = _GET_BYTES if transaction.connection.dialect.name == "sqlite" else _GET
    for piece in chunks(identifiers):
        for identifier, text in transaction.connection.execute(statement, {"wanted": piece}):
            if text:
                found.setdefault(identifier, text if isinstance(text, bytes) else text.encode())
    return found


def add_blocking(transaction: Transaction, identifier: PluginIdentifier, text: bytes) -> bool:
    """Keep a declaration unless there is one: the first upload wins. Was this the first?"""
    stamps = transaction.stamps()
    insert_absent(
        transaction.connection,
        plugin_declarations,
        **stamps,
        plugin_unique_identifier=identifier.text,
        plugin_id=identifier.plugin_id,
        declaration=text.decode(),
    )
    kept = select(plugin_declarations.c.id).where(plugin_declarations.c.plugin_unique_identifier == identifier.text)
    return transaction.connection.scalar(kept) == stamps["id"]


def replace_blocking(transaction: Transaction, identifier: PluginIdentifier, text: bytes) -> None:
    """Another text for a declaration that there is, whoever has it installed. Its time moves, by which lists notice."""
    transaction.connection.execute(
        update(plugin_declarations)
        .where(plugin_declarations.c.plugin_unique_identifier == identifier.text)
        .values(declaration=text.decode(), updated_at=transaction.moment)
    )
