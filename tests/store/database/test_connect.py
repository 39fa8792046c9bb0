"""How databases are reached."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database.connect import Server, server_engine

SERVER = Server("postgresql", "db", 5432, "postgres", "p@ss/word", "dify_plugin")


class ServerTests(SynchronousTestCase):
    def connection(self, server: Server) -> tuple[list, dict]:
        """What the driver would be called with."""
        engine = server_engine(server)
        positional, named = engine.dialect.create_connect_args(engine.url)
        seen: dict = {}
        engine.dialect.connect = lambda *args, **kwargs: seen.update(kwargs) or self.fail("opened")
        self.assertRaises(self.failureException, engine.connect)
        return positional, {**named, **seen}

    def test_postgresql(self) -> None:
        """Everything that the settings say, nothing in a string that would have to be quoted."""
        _, named = self.connection(evolve(SERVER, charset="utf8", extras="options=-c search_path=dify", ssl_mode="require"))
        expected = {
            "host": "db",
            "port": 5432,
            "user": "postgres",
            "password": "p@ss/word",
            "dbname": "dify_plugin",
            "sslmode": "require",
            "client_encoding": "utf8",
            "options": "-c search_path=dify",
        }
        self.assertEqual({key: named.get(key) for key in expected}, expected)

    def test_certificates(self) -> None:
        """The modes that check the server know whom to trust."""
        _, named = self.connection(evolve(SERVER, ssl_mode="verify-full", ssl_root_cert="/ca.pem"))
        self.assertEqual((named["sslmode"], named["sslrootcert"]), ("verify-full", "/ca.pem"))

    def test_mysql(self) -> None:
        """Character set, time limits, times in UTC; encrypted exactly when asked for."""
        _, named = self.connection(evolve(SERVER, kind="mysql", port=3306, read_timeout=7.0))
        expected = {"host": "db", "port": 3306, "user": "postgres", "password": "p@ss/word", "database": "dify_plugin", "charset": "utf8mb4"}
        self.assertEqual({key: named.get(key) for key in expected}, expected)
        self.assertEqual((named["connect_timeout"], named["read_timeout"], named["write_timeout"]), (5.0, 7.0, 30.0))
        self.assertNotIn("ssl", named)
        _, named = self.connection(evolve(SERVER, kind="mysql", ssl_mode="require"))
        self.assertIn("ssl", named)

    def test_secrets(self) -> None:
        """The password is in no repr."""
        self.assertNotIn("p@ss", repr(SERVER))
        self.assertNotIn("p@ss", repr(server_engine(SERVER).url))

    def test_pool(self) -> None:
        """As many connections as allowed, of which as many stay open as wanted."""
        for idle, most, size, overflow in ((10, 30, 10, 20), (50, 30, 30, 0), (10, 0, 10, 90), (0, 5, 1, 4)):
            pool = server_engine(evolve(SERVER, idle_connections=idle, open_connections=most)).pool
            self.assertEqual((pool.size(), pool._max_overflow), (size, overflow))
