"""
Column types whose form depends on the database (state-and-cluster 3.2, 3.3, 13).

Dialects are imported only when they are spoken: the embedded default pays for SQLite alone.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CHAR, UUID, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from difyd.store.database.times import from_text, to_text


class Id(TypeDecorator[str]):
    """A UUID as text: `uuid` in PostgreSQL, `char(36)` in MySQL, any text in SQLite, where tenants need not be UUIDs."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(UUID(as_uuid=False))
        if dialect.name == "mysql":
            return dialect.type_descriptor(CHAR(36))
        return dialect.type_descriptor(Text())


class Shown(TypeDecorator[Any]):
    """A point in time, read as the driver gives it: only to be shown, with `times.rfc3339`."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        if dialect.name == "mysql":
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime(timezone=True))


class Moment(Shown):
    """A point in time: `timestamptz`, `datetime(3)` holding UTC, or ISO 8601 text in UTC with microseconds. Always aware in Python."""

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return to_text(value)
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "mysql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return from_text(value)
        moment: datetime = value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Document(TypeDecorator[str]):
    """Text of any length, mostly JSON: `text`, in MySQL `longtext`."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            from sqlalchemy.dialects.mysql import LONGTEXT

            return dialect.type_descriptor(LONGTEXT())
        return dialect.type_descriptor(Text())
