"""
Pages of installed plugins without sorting all of them, and, in SQLite, without looking at them while nothing has changed.

The index has no part in uniqueness, so the reference's migration leaves it alone (state-and-cluster 2.3).
"""

from alembic import context, op
from sqlalchemy import inspect

from difyd.store.database import changes
from difyd.store.database.tables import NEWEST, plugin_installations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if NEWEST.name not in {index["name"] for index in inspect(connection).get_indexes(plugin_installations.name)}:
        NEWEST.create(connection)
        context.config.attributes["report"].append(f"created index {NEWEST.name}")
    changes.install_blocking(connection)
