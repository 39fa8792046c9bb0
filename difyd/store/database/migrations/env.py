"""What Alembic runs for every command; the connection, its transaction and its lock are the caller's."""

from alembic import context

from difyd.store.database.schema import VERSIONS
from difyd.store.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSIONS.name)
context.run_migrations()
