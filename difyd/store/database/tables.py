"""
The tables (state-and-cluster 3): names, columns, indexes and constraints are shared with the reference, which must be able to take the
database back at any time. So nothing here is renamed, retyped or tightened, and uniqueness is an index where the reference has an index
and a constraint where it has a constraint: its own migration would otherwise try to undo it (4.2). What is only ours has the prefix `difyd_`.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, String, Table, UniqueConstraint, text

from difyd.store.database.types import Document, Id, Moment

metadata = MetaData()


def _table(name: str, *rest: Column[Any] | Index | UniqueConstraint) -> Table:
    """Every table starts with an id and two times."""
    return Table(name, metadata, Column("id", Id, primary_key=True), Column("created_at", Moment), Column("updated_at", Moment), *rest)


def _indexed(table: str, *columns: str) -> list[Index]:
    return [Index(f"idx_{table}_{column}", column) for column in columns]


def _count(name: str, **more: Any) -> Column[int]:
    return Column(name, BigInteger, **more)


plugins = _table(
    "plugins",
    Column("plugin_unique_identifier", String(255)),
    Column("plugin_id", String(255)),
    _count("refers", server_default=text("0")),
    Column("install_type", String(127)),
    Column("manifest_type", String(127)),
    Column("remote_declaration", Document),
    Column("source", String(63), server_default=text("''")),
    Index("idx_plugin_unique_identifier", "plugin_unique_identifier", unique=True),
    *_indexed("plugins", "plugin_id", "install_type"),
)
"""One row per version that at least one tenant has; `refers` is the number of these tenants."""

plugin_installations = _table(
    "plugin_installations",
    Column("tenant_id", Id),
    Column("plugin_id", String(255)),
    Column("plugin_unique_identifier", String(255)),
    Column("runtime_type", String(127)),
    _count("endpoints_setups"),
    _count("endpoints_active"),
    Column("source", String(63)),
    Column("meta", Document),
    Index("idx_tenant_plugin", "tenant_id", "plugin_id", unique=True),
    *_indexed("plugin_installations", "tenant_id", "plugin_id", "plugin_unique_identifier"),
)
"""One row per tenant and plugin id."""

NEWEST = Index("difyd_plugin_installations_newest", *(plugin_installations.c[name] for name in ("tenant_id", "created_at", "id")))
"""The order of their list."""

plugin_declarations = _table(
    "plugin_declarations",
    Column("plugin_unique_identifier", String(255)),
    Column("plugin_id", String(255)),
    Column("declaration", Document),
    UniqueConstraint("plugin_unique_identifier", name="uni_plugin_declarations_plugin_unique_identifier"),
    *_indexed("plugin_declarations", "plugin_id"),
)
"""One row per version that was ever uploaded, until its last installation is removed."""


def _category(name: str) -> Table:
    return _table(
        name,
        Column("tenant_id", Id, nullable=False),
        Column("provider", String(127), nullable=False),
        Column("plugin_unique_identifier", String(255)),
        Column("plugin_id", String(255)),
        *_indexed(name, "tenant_id", "provider", "plugin_unique_identifier", "plugin_id"),
    )


CATEGORIES = {
    "tool": _category("tool_installations"),
    "model": _category("ai_model_installations"),
    "agent_strategy": _category("agent_strategy_installations"),
    "datasource": _category("datasource_installations"),
    "trigger": _category("trigger_installations"),
}
"""By kind of declaration: one row per tenant and plugin that has such a provider."""

serverless_runtimes = _table(
    "serverless_runtimes",
    Column("plugin_unique_identifier", String(255)),
    Column("function_url", String(255)),
    Column("function_name", String(127)),
    Column("type", String(127)),
    Column("checksum", String(127)),
    UniqueConstraint("plugin_unique_identifier", name="uni_serverless_runtimes_plugin_unique_identifier"),
    *_indexed("serverless_runtimes", "checksum"),
)

endpoints = _table(
    "endpoints",
    Column("name", String(127), server_default=text("'default'")),
    Column("hook_id", String(127)),
    Column("tenant_id", String(64)),
    Column("user_id", String(64)),
    Column("plugin_id", String(64)),
    Column("expired_at", Moment),
    Column("enabled", Boolean),
    Column("settings", Document),
    UniqueConstraint("hook_id", name="uni_endpoints_hook_id"),
    *_indexed("endpoints", "tenant_id", "user_id", "plugin_id"),
)
"""One row per endpoint that a tenant set up; they outlive the installation of their plugin."""

install_tasks = _table(
    "install_tasks",
    Column("status", String(50), nullable=False),
    Column("tenant_id", Id, nullable=False),
    _count("total_plugins", nullable=False),
    _count("completed_plugins", nullable=False),
    Column("plugins", Document),
    *_indexed("install_tasks", "status"),
)

tenant_storages = _table(
    "tenant_storages",
    Column("tenant_id", String(255), nullable=False),
    Column("plugin_id", String(255), nullable=False),
    _count("size", nullable=False),
    *_indexed("tenant_storages", "tenant_id", "plugin_id"),
)
"""Bytes of plugin data per tenant and plugin id; nothing makes the pair unique, so readers sum."""

plugin_readme_records = _table(
    "plugin_readme_records",
    Column("plugin_unique_identifier", String(255), nullable=False),
    Column("language", String(10), nullable=False),
    Column("content", Document, nullable=False),
    *_indexed("plugin_readme_records", "plugin_unique_identifier"),
)

SHARED = tuple(metadata.sorted_tables)
"""The thirteen that the reference knows."""

jobs = Table(
    "difyd_jobs",
    metadata,
    Column("task_id", Id, primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("job", Document, nullable=False),
)
"""Which node works on an install task, and what it needs to know to go on with it after a restart."""

debug_keys = Table(
    "difyd_debug_keys",
    metadata,
    Column("tenant_id", String(255), primary_key=True),
    Column("debug_key", String(36), nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("idx_difyd_debug_keys_debug_key", "debug_key", unique=True),
)
"""Debugging keys of a daemon without Redis: they must outlive a restart (state-and-cluster 13)."""
