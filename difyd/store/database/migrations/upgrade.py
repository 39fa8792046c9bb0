"""The way into Alembic. Imported only when there is something to migrate: Alembic costs a quarter of a second."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from difyd.store.database.failures import DatabaseFailed
from difyd.store.database.schema import HEAD


def upgrade_blocking(connection: Connection, revision: str | None) -> list[str]:
    """Run all revisions after `revision` inside the caller's transaction; sentences about what they did."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    report: list[str] = []
    config.attributes.update(connection=connection, report=report)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseFailed(f"the database is at revision {revision}, which this version (up to {HEAD}) does not know: {error}") from error
    return [*report, f"migrated from revision {revision or 'none'} to {HEAD}"]
