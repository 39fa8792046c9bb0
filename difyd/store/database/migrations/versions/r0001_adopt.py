"""
Take over a database that the reference made, of any age (state-and-cluster 4.1), and add our own tables.

Adds what is missing and changes nothing else. Duplicates that stand in the way of a unique index go: the oldest row of a version and the
newest installation of a plugin stay, sizes of plugin data are added up; every removal is reported.
"""

from collections.abc import Iterable

from alembic import context, op
from sqlalchemy import Connection, Index, Inspector, Table, UniqueConstraint, delete, func, inspect, select, update
from sqlalchemy.schema import CreateColumn

from difyd.store.database.tables import (
    SHARED,
    debug_keys,
    jobs,
    plugin_declarations,
    plugin_installations,
    plugins,
    serverless_runtimes,
    tenant_storages,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    report: list[str] = context.config.attributes["report"]
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    for table in (*SHARED, jobs, debug_keys):
        if table.name not in present:
            table.create(connection)
            report.append(f"created table {table.name}")
            continue
        _add_columns(connection, inspector, table, report)
    if plugin_installations.name in present:
        _keep_one(connection, plugin_installations, ("tenant_id", "plugin_id"), report, newest=True)
    for table in (plugins, plugin_declarations, serverless_runtimes):
        if table.name in present:
            _keep_one(connection, table, ("plugin_unique_identifier",), report, newest=False)
    if tenant_storages.name in present:
        _add_up(connection, report)
    _count_again(connection)
    for table in SHARED:
        if table.name in present:
            _add_indexes(connection, inspector, table, report)


def _add_columns(connection: Connection, inspector: Inspector, table: Table, report: list[str]) -> None:
    """Those that came later are all nullable or have a default."""
    known = {column["name"] for column in inspector.get_columns(table.name)}
    for column in table.columns:
        if column.name not in known:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
            report.append(f"added column {table.name}.{column.name}")


def _add_indexes(connection: Connection, inspector: Inspector, table: Table, report: list[str]) -> None:
    """By name, and a unique one under any name: hand-made databases have their own."""
    indexes = inspector.get_indexes(table.name)
    names = {index["name"] for index in indexes}
    unique = {tuple(index["column_names"]) for index in indexes if index["unique"]}
    unique |= {tuple(constraint["column_names"]) for constraint in inspector.get_unique_constraints(table.name)}
    for index in table.indexes:
        if index.name not in names and not (index.unique and _names(index) in unique):
            index.create(connection)
            report.append(f"created index {index.name}")
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and _names(constraint) not in unique:
            op.create_unique_constraint(str(constraint.name), table.name, _names(constraint))
            report.append(f"created constraint {constraint.name}")


def _names(columns: Index | UniqueConstraint) -> tuple[str, ...]:
    return tuple(column.name for column in columns.columns)


def _keep_one(connection: Connection, table: Table, key: Iterable[str], report: list[str], *, newest: bool) -> None:
    columns = [table.c[name] for name in key]
    twice = connection.execute(select(*columns).group_by(*columns).having(func.count() > 1)).all()
    for values in twice:
        same = [column == value for column, value in zip(columns, values, strict=True)]
        order = (table.c.created_at.desc(), table.c.id.desc()) if newest else (table.c.created_at, table.c.id)
        _, *others = connection.scalars(select(table.c.id).where(*same).order_by(*order)).all()
        connection.execute(delete(table).where(table.c.id.in_(others)))
        report.append(f"removed {len(others)} duplicate rows of {table.name}: {', '.join(map(str, values))}")


def _add_up(connection: Connection, report: list[str]) -> None:
    """One row per tenant and plugin; no index demands it, so readers still sum (backwards-invocation 8.3)."""
    table = tenant_storages
    pair = (table.c.tenant_id, table.c.plugin_id)
    sums = connection.execute(select(*pair, func.sum(table.c.size)).group_by(*pair).having(func.count() > 1)).all()
    _keep_one(connection, table, ("tenant_id", "plugin_id"), report, newest=False)
    for tenant, plugin_id, size in sums:
        mine = table.c.tenant_id == tenant, table.c.plugin_id == plugin_id
        connection.execute(update(table).where(*mine).values(size=int(size)))


def _count_again(connection: Connection) -> None:
    """`refers` is the number of installations, also after duplicates went."""
    count = (
        select(func.count())
        .select_from(plugin_installations)
        .where(plugin_installations.c.plugin_unique_identifier == plugins.c.plugin_unique_identifier)
        .scalar_subquery()
    )
    connection.execute(update(plugins).where(func.coalesce(plugins.c.refers, -1) != count).values(refers=count))
