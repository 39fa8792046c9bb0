"""
What management lists (http-api 14): one statement for the rows, one for the stamps of their declarations where these may have changed, one for
the declarations that are not in memory, one more where a total is asked for.

Pages are `OFFSET (page - 1) * size LIMIT size`, newest first by time of creation, then id, so that they are stable. A row whose
declaration cannot be read is left out and named in `Page.broken`: a console that shows 49 of 50 plugins is worth more than none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from attrs import field, frozen
from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, Select, Table, bindparam, exists, func, select, type_coerce

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import InternalError
from difyd.store.database import changes
from difyd.store.database.declarations import texts_blocking
from difyd.store.database.engine import Transaction
from difyd.store.database.memory import Known, Stamp
from difyd.store.database.records import AgentRecord, BatchRecord, BindingRecord, InstallationRecord, MissingRecord, Page, ProviderRecord
from difyd.store.database.statements import AnyRow, chunks, newest_first, skipped
from difyd.store.database.tables import CATEGORIES as TABLES
from difyd.store.database.tables import plugin_declarations, plugin_installations
from difyd.store.database.times import rfc3339
from difyd.store.database.types import Moment, Shown

R = TypeVar("R", bound=Struct)

CATEGORIES: Final = ("tool", "model", "extension", "agent-strategy", "datasource", "trigger")
"""As the wire spells them; every plugin is in exactly one."""
_BATCH: Final = 256
"""Rows of a batch look-up at most (state-and-cluster 5.11), and of one step of a search."""
_KINDS: Final = {"tool": "tool", "model": "model", "agent-strategy": "agent_strategy", "datasource": "datasource", "trigger": "trigger"}
"""Category of the wire to kind of declaration; `extension` is what has none of these."""


@frozen
class Filter:
    """Which plugins of a category (http-api 14.2)."""

    query: str = ""
    """Part of the plugin id, the name, the label or the description, in any case; "" for all."""
    tags: frozenset[str] = field(default=frozenset(), converter=frozenset)
    """One shared tag is enough; empty for all."""
    language: str = "en_US"
    """Of the label and the description, with `en_US` standing in."""


class _Meta(Struct, frozen=True):
    meta: Raw = Raw(b"{}")


_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_meta = msgspec.json.Decoder(_Meta)
_NO_META: Final = Raw(b"{}")
_object = msgspec.json.Decoder(dict[str, Raw])


def _shown(table: Table, *more: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """All columns of a table, in its order, with times as they come from the driver. The makers of records take rows apart by position."""
    return select(*(type_coerce(column, Shown) if isinstance(column.type, Moment) else column for column in table.c), *more)


def _paged(rows: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return rows.offset(bindparam("skipped")).limit(bindparam("size"))


_INSTALLED: Final = _shown(plugin_installations).where(plugin_installations.c.tenant_id == bindparam("tenant"))
_NEWEST: Final = _INSTALLED.order_by(*newest_first(plugin_installations))
_PAGE: Final = _paged(_NEWEST)
_COUNT: Final = select(func.count()).select_from(plugin_installations).where(plugin_installations.c.tenant_id == bindparam("tenant"))


def installed_blocking(transaction: Transaction, tenant: str, page: int, size: int) -> Page[InstallationRecord]:
    """http-api 14.1, with `total`."""
    rows = transaction.connection.execute(_PAGE, {"tenant": tenant, **_part(page, size)}).all()
    total = len(rows)
    if page > 1 or total == size:
        total = transaction.connection.scalar(_COUNT, {"tenant": tenant}) or 0
    found, broken = _with_declarations(transaction, rows, _installation)
    return Page(found, total=total, broken=broken)


def category_blocking(transaction: Transaction, tenant: str, category: str, page: int, size: int, wanted: Filter) -> Page[InstallationRecord]:
    """
    http-api 14.2, with `more`. `category` is one of CATEGORIES.

    Reads on, newest first, until one plugin after the page is found: only the declarations say which ones belong to it.
    """

    def fits(row: AnyRow, known: Known) -> bool:
        return _matches(row, known.declaration(), category, wanted)

    end = page * size
    found: list[InstallationRecord] = []
    broken: tuple[str, ...] = ()
    step = 1
    while len(found) <= end:
        rows = transaction.connection.execute(_PAGE, {"tenant": tenant, **_part(step, _BATCH)}).all()
        more, unread = _with_declarations(transaction, rows, _installation, fits)
        found += more
        broken += unread
        step += 1
        if len(rows) < _BATCH:
            break
    return Page(found[end - size : end], more=len(found) > end, broken=broken)


def plugin_ids_blocking(transaction: Transaction, tenant: str, category: str) -> list[str]:
    """http-api 14.3: newest first, each once."""
    if kind := _KINDS.get(category):
        table = TABLES[kind]
        statement = select(table.c.plugin_id).where(table.c.tenant_id == tenant).order_by(*newest_first(table))
    else:
        table = plugin_installations
        providers = (
            exists().where(other.c.tenant_id == table.c.tenant_id, other.c.plugin_id == table.c.plugin_id) for other in TABLES.values()
        )
        statement = select(table.c.plugin_id).where(table.c.tenant_id == tenant, *(~has for has in providers)).order_by(*newest_first(table))
    return list(dict.fromkeys(transaction.connection.scalars(statement)))


def batch_blocking(transaction: Transaction, tenant: str, plugin_ids: Sequence[str]) -> Page[BatchRecord]:
    """http-api 14.4: those of them that are installed."""
    statement = _NEWEST.where(plugin_installations.c.plugin_id.in_(list(plugin_ids))).limit(_BATCH)
    rows = transaction.connection.execute(statement, {"tenant": tenant}).all()
    found, broken = _with_declarations(transaction, rows, _batch)
    return Page(found, broken=broken)


def missing_blocking(transaction: Transaction, tenant: str, identifiers: Sequence[PluginIdentifier]) -> list[MissingRecord]:
    """http-api 14.5: in the order asked."""
    columns = plugin_installations.c
    present: dict[str, str] = {}
    for piece in chunks(identifier.plugin_id for identifier in identifiers):
        statement = select(columns.plugin_id, columns.plugin_unique_identifier).where(columns.tenant_id == tenant, columns.plugin_id.in_(piece))
        present.update((row.plugin_id, row.plugin_unique_identifier) for row in transaction.connection.execute(statement))
    return [
        MissingRecord(identifier.text, current)
        for identifier in identifiers
        if (current := present.get(identifier.plugin_id, "")) != identifier.text
    ]


def tools_exist_blocking(transaction: Transaction, tenant: str, providers: Iterable[tuple[str, str]]) -> list[bool]:
    """http-api 14.9: is there this (plugin id, provider)? In the order asked."""
    asked, table = list(providers), TABLES["tool"]
    present: set[tuple[str, str]] = set()
    for piece in chunks(plugin_id for plugin_id, _ in asked):
        statement = select(table.c.plugin_id, table.c.provider).where(table.c.tenant_id == tenant, table.c.plugin_id.in_(piece))
        present.update((row.plugin_id, row.provider) for row in transaction.connection.execute(statement))
    return [pair in present for pair in asked]


def providers_blocking(transaction: Transaction, tenant: str, kind: str, page: int, size: int) -> Page[ProviderRecord]:
    """http-api 14.11, 14.13. `kind` is one of `entities.declaration.PROVIDER_KINDS`; agent strategies come as AgentRecords."""
    table = TABLES[kind]
    statement = _shown(table).where(table.c.tenant_id == tenant).order_by(*newest_first(table))
    rows = transaction.connection.execute(_paged(statement), _part(page, size)).all()
    found, broken = _with_declarations(transaction, rows, _PROVIDERS[kind])
    return Page(found, broken=broken)


def provider_blocking(transaction: Transaction, tenant: str, kind: str, plugin_id: str, provider: str) -> ProviderRecord | AgentRecord | None:
    """http-api 14.14. Raises InternalError when it is there and its declaration cannot be read."""
    table = TABLES[kind]
    statement = _shown(table).where(table.c.tenant_id == tenant, table.c.plugin_id == plugin_id, table.c.provider == provider)
    rows = transaction.connection.execute(statement.order_by(*newest_first(table)).limit(1)).all()
    found, broken = _with_declarations(transaction, rows, _PROVIDERS[kind])
    if broken:
        raise InternalError(f"the declaration of {broken[0]} cannot be read")
    return found[0] if found else None


def bindings_blocking(transaction: Transaction, tenant: str) -> Page[BindingRecord]:
    """http-api 14.12: newest installation first, the first per (plugin id, provider)."""
    models, installed = TABLES["model"].c, plugin_installations.c
    statement = (
        _shown(plugin_installations, models.provider)
        .join(
            TABLES["model"],
            (models.tenant_id == installed.tenant_id)
            & (models.plugin_id == installed.plugin_id)
            & (models.plugin_unique_identifier == installed.plugin_unique_identifier),
        )
        .where(installed.tenant_id == tenant)
    )
    first: dict[tuple[str, str], AnyRow] = {}
    for row in transaction.connection.execute(statement.order_by(*newest_first(plugin_installations), models.id)):
        first.setdefault((row.plugin_id, row.provider), row)
    found, broken = _with_declarations(transaction, list(first.values()), _binding)
    return Page(found, broken=broken)


def _part(page: int, size: int) -> dict[str, int]:
    """What `_paged` asks for."""
    return {"skipped": skipped(page, size), "size": size}


def _with_declarations(
    transaction: Transaction,
    rows: Sequence[AnyRow],
    make: Callable[[Transaction, AnyRow, Known], R],
    fits: Callable[[AnyRow, Known], bool] | None = None,
) -> tuple[list[R], tuple[str, ...]]:
    """
    A record of each row (that fits) and its declaration; and the identifiers of rows without a readable one.

    Records of rows that have not changed are in memory. The declarations that are not come in one statement. Not with the rows: a database
    that sorts rows would carry them along.
    """
    found, broken = [], []
    stamps = _stamps(transaction, [row.plugin_unique_identifier for row in rows])
    keys = [(make, tuple(row), stamps.get(row.plugin_unique_identifier)) for row in rows]
    kept: list[Any] = list(transaction.memory.records.get(keys))  # of each what `make` makes
    wanted = rows if fits is not None else [row for row, record in zip(rows, kept, strict=True) if record is None]
    known = _known(transaction, {row.plugin_unique_identifier: stamps.get(row.plugin_unique_identifier) for row in wanted})
    for row, key, record in zip(rows, keys, kept, strict=True):
        try:
            if fits is not None and not fits(row, known[row.plugin_unique_identifier]):
                continue
            if record is None:
                record = make(transaction, row, known[row.plugin_unique_identifier])
                if key[2] is not None:
                    transaction.memory.records.put(key, record)
        except (KeyError, *_UNREADABLE):
            broken.append(str(row.plugin_unique_identifier))
        else:
            found.append(record)
    return found, tuple(broken)


def _stamps(transaction: Transaction, identifiers: Sequence[str]) -> dict[str, Stamp]:
    """Of those that were uploaded. A plugin being debugged has none: it may declare something else next time."""
    known = transaction.memory.stamps.of(changes.of_declarations_blocking(transaction.connection))
    columns = plugin_declarations.c
    for piece in chunks(identifier for identifier in identifiers if identifier not in known):
        statement = select(columns.plugin_unique_identifier, columns.id, type_coerce(columns.updated_at, Shown))
        for identifier, *stamp in transaction.connection.execute(statement.where(columns.plugin_unique_identifier.in_(piece))):
            known[identifier] = (stamp[0], stamp[1])
    return known


def _known(transaction: Transaction, stamps: Mapping[str, Stamp | None]) -> dict[str, Known]:
    """By identifier; what is missing or cannot be read is left out."""
    stamped = {identifier: stamp for identifier, stamp in stamps.items() if stamp is not None}
    kept = dict(zip(stamped, transaction.memory.declarations.get(list(stamped.values())), strict=True))
    known = {identifier: value for identifier, value in kept.items() if value is not None}
    for identifier, text in texts_blocking(transaction, stamps.keys() - known.keys()).items():
        with suppress(*_UNREADABLE):
            known[identifier] = Known.read(text)
            if identifier in stamped:
                transaction.memory.declarations.put(stamped[identifier], known[identifier])
    return known


def _installation(transaction: Transaction, row: AnyRow, known: Known) -> InstallationRecord:
    id, created_at, updated_at, tenant, plugin_id, identifier, runtime, setups, active, source, meta = row
    created = rfc3339(created_at, transaction.zone)
    return InstallationRecord(
        id=id,
        name=known.head.name,
        plugin_id=plugin_id,
        tenant_id=tenant,
        plugin_unique_identifier=identifier,
        endpoints_active=active or 0,
        endpoints_setups=setups or 0,
        installation_id=id,
        declaration=Raw(known.text),
        runtime_type=runtime,
        version=known.head.version,
        created_at=created,
        updated_at=created if updated_at == created_at else rfc3339(updated_at, transaction.zone),
        source=source or "",
        checksum=identifier.rpartition("@")[2],
        meta=_meta_of(meta),
    ).hold(known.text)


def _batch(transaction: Transaction, row: AnyRow, known: Known) -> BatchRecord:
    id, created_at, updated_at, tenant, plugin_id, identifier, runtime, setups, active, source, meta = row
    return BatchRecord(
        id=id,
        created_at=rfc3339(created_at, transaction.zone),
        updated_at=rfc3339(updated_at, transaction.zone),
        tenant_id=tenant,
        plugin_id=plugin_id,
        plugin_unique_identifier=identifier,
        runtime_type=runtime,
        endpoints_setups=setups or 0,
        endpoints_active=active or 0,
        source=source or "",
        meta=_meta_of(meta),
        version=_version(identifier),
        checksum=identifier.rpartition("@")[2],
        declaration=Raw(known.text),
    ).hold(known.text)


def _binding(_transaction: Transaction, row: AnyRow, known: Known) -> BindingRecord:
    return BindingRecord(
        provider=row.provider,
        installation_id=row.id,
        plugin_id=row.plugin_id,
        plugin_unique_identifier=row.plugin_unique_identifier,
        runtime_type=row.runtime_type,
        source=row.source or "",
        version=_version(row.plugin_unique_identifier),
        verified=known.head.verified,
    )


def _provider(kind: str) -> Callable[[Transaction, AnyRow, Known], ProviderRecord]:
    def make(transaction: Transaction, row: AnyRow, known: Known) -> ProviderRecord:
        part = known.declaration().part(kind)
        if part is None:
            raise KeyError(kind)  # a row that its declaration does not bear out
        facts: dict[str, Any] = {
            "id": row.id,
            "created_at": rfc3339(row.created_at, transaction.zone),
            "updated_at": rfc3339(row.updated_at, transaction.zone),
            "tenant_id": row.tenant_id,
            "provider": row.provider,
            "plugin_unique_identifier": row.plugin_unique_identifier,
            "plugin_id": row.plugin_id,
            "declaration": Raw(part),
        }
        if kind == "agent_strategy":
            return AgentRecord(**facts, meta=_meta.decode(known.text).meta).hold(part)
        return ProviderRecord(**facts).hold(part)

    return make


_PROVIDERS: Final = {kind: _provider(kind) for kind in TABLES}


def _meta_of(text: str | None) -> Raw:
    """What the installer gave, which must be an object for the client; anything else is shown as an empty one."""
    if not text or text == "{}":
        return _NO_META
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _NO_META
    return Raw(text.encode())


def _version(identifier: str) -> str:
    return identifier.partition(":")[2].partition("@")[0]


def _matches(row: AnyRow, declaration: Declaration, category: str, wanted: Filter) -> bool:
    if declaration.category != category or (wanted.tags and wanted.tags.isdisjoint(declaration.view.tags)):
        return False
    if not wanted.query:
        return True
    view, query = declaration.view, wanted.query.lower()
    words = (row.plugin_id, view.name, *(words.get(wanted.language) or words.get("en_US", "") for words in (view.label, view.description)))
    return any(query in text.lower() for text in words)
