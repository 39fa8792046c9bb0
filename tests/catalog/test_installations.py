"""The look-up of calls: answered from memory, never from a memory that is out of date."""

from difyd.catalog.declarations import Declarations
from difyd.catalog.installations import LIFE, Installations
from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import InternalError, PluginNotFound
from difyd.store.database import connect, declarations, installations
from difyd.store.database.engine import Database
from difyd.store.threads import Threads
from tests.catalog.house import NEWER, OTHER, TENANT, WEATHER, House, declared
from tests.store.inline import HeldPool, InlineReactor, inline_threads

PLUGIN = WEATHER.plugin_id


class Finding(House):
    def setUp(self) -> None:
        super().setUp()
        self.pool = HeldPool()
        self.slow = Database(
            connect.sqlite_engine(self.directory / "test.db", 2), readers=Threads(InlineReactor(), self.pool), writers=inline_threads()
        )
        self.start(self.slow)
        self.known = Declarations(self.slow)
        self.calls = Installations(self.clock, self.slow, self.messages, self.known)
        self.start(self.calls)

    def find(self, tenant: str = TENANT) -> Installation:
        asked = self.begun(self.calls.find(tenant, PLUGIN))
        self.pool.release()
        return self.successResultOf(asked)

    def test_steady_state(self) -> None:
        """After the first call no other one reaches the database."""
        mine = self.have(WEATHER)
        self.assertEqual(self.find(), Installation(mine, TENANT, WEATHER, RuntimeType.LOCAL))
        for _ in range(3):
            self.assertEqual(self.got(self.calls.find(TENANT, PLUGIN)).identifier, WEATHER)
        self.assertEqual(self.pool.waiting, [])

    def test_one_query_for_all(self) -> None:
        """Calls that come at the same time share the query; one that is given up leaves it to the others."""
        self.have(WEATHER)
        first, *others = [self.begun(self.calls.find(TENANT, PLUGIN)) for _ in range(20)]
        self.assertEqual(len(self.pool.waiting), 1)
        first.addErrback(lambda _: None).cancel()
        self.pool.release()
        self.assertEqual({self.successResultOf(other).identifier for other in others}, {WEATHER})

    def test_misses_are_not_kept(self) -> None:
        """An install is seen by the very next call."""
        asked = self.begun(self.calls.find(TENANT, PLUGIN))
        self.pool.release()
        self.failureResultOf(asked, PluginNotFound)
        self.have(WEATHER)
        self.assertEqual(self.find().identifier, WEATHER)

    def test_tenants_are_kept_apart(self) -> None:
        """What one tenant has another has not."""
        self.have(WEATHER)
        self.find()
        asked = self.begun(self.calls.find(OTHER, PLUGIN))
        self.pool.release()
        self.failureResultOf(asked, PluginNotFound)

    def switch(self) -> None:
        """Somebody commits an upgrade."""
        self.upload(NEWER)
        decoded = self.got(self.database.run(declarations.get_blocking, NEWER))
        assert decoded is not None
        self.got(
            self.database.run(
                installations.upgrade_blocking,
                TENANT,
                WEATHER,
                NEWER,
                self.got(self.installations.declaration(NEWER)),
                runtime=RuntimeType.LOCAL,
                source="package",
            )
        )

    def test_change_here(self) -> None:
        """After a change on this node the next look-up has the new version."""
        self.have(WEATHER)
        self.find()
        self.switch()
        self.calls.changed(TENANT, PLUGIN)
        self.assertEqual(self.find().identifier, NEWER)

    def test_change_elsewhere(self) -> None:
        """The same for a change on another node, as soon as its message is here."""
        self.have(WEATHER)
        self.find()
        self.switch()
        self.installations.changed(TENANT, PLUGIN)  # the other node's
        self.clock.advance(0)
        self.assertEqual(self.find().identifier, NEWER)

    def test_change_while_it_reads(self) -> None:
        """A row that was read before a change and comes in after it is read again, and not kept."""
        self.have(WEATHER)
        asked = self.begun(self.calls.find(TENANT, PLUGIN))
        tell, work, args, kwargs = self.pool.waiting.pop()
        old = work(*args, **kwargs)
        self.switch()
        self.calls.changed(TENANT, PLUGIN)
        tell(True, old)
        self.assertNoResult(asked)
        self.pool.release()
        self.assertEqual(self.successResultOf(asked).identifier, NEWER)
        self.assertEqual(self.got(self.calls.find(TENANT, PLUGIN)).identifier, NEWER)

    def test_life(self) -> None:
        """Without any message an entry ends after half an hour."""
        self.have(WEATHER)
        self.find()
        self.switch()
        self.clock.advance(LIFE - 1)
        self.assertEqual(self.got(self.calls.find(TENANT, PLUGIN)).identifier, WEATHER)
        self.clock.advance(1)
        self.assertEqual(self.find().identifier, NEWER)

    def test_database_away(self) -> None:
        """A failing query is every waiter's error; the next call asks again."""
        self.have(WEATHER)
        asked = [self.begun(self.calls.find(TENANT, PLUGIN)) for _ in range(2)]
        tell, *_ = self.pool.waiting.pop()
        tell(False, _failure())
        for one in asked:
            self.failureResultOf(one, InternalError)
        self.assertEqual(self.find().identifier, WEATHER)

    def test_declaration(self) -> None:
        """A declaration is decoded once; it is forgotten with the version that nobody has any more."""
        self.have(WEATHER)
        asked = self.begun(self.calls.declaration(WEATHER))
        self.pool.release()
        found = self.successResultOf(asked)
        self.assertIs(self.got(self.calls.declaration(WEATHER)), found)
        self.calls.changed(TENANT, PLUGIN, WEATHER)
        asked = self.begun(self.calls.declaration(WEATHER))
        self.pool.release()
        self.assertIsNot(self.successResultOf(asked), found)

    def test_unknown_declaration(self) -> None:
        """A version that was never uploaded has none."""
        asked = self.begun(self.calls.declaration(NEWER))
        self.pool.release()
        self.failureResultOf(asked, PluginNotFound)

    def test_broken_declaration(self) -> None:
        """A row that is no declaration is an error of its own, with the version named."""
        self.got(self.database.run(declarations.add_blocking, NEWER, b"[1"))
        asked = self.begun(self.calls.declaration(NEWER))
        self.pool.release()
        self.assertIn(str(NEWER), str(self.failureResultOf(asked, InternalError).value))

    def test_declarations_are_bounded(self) -> None:
        """Only as much JSON stays in memory as was said."""
        self.upload(WEATHER, NEWER)
        size = len(declared(WEATHER))
        few = Declarations(self.database, _lru(size + 10))
        self.got(few.get(WEATHER))
        self.assertEqual(len(few._kept), 0)  # a single one would push out everything else
        many = Declarations(self.database, _lru(size * 5))
        self.got(many.get(WEATHER))
        self.got(many.get(NEWER))
        self.assertEqual(len(many._kept), 2)


def _lru(weight: int):
    from difyd.catalog.lru import Lru

    return Lru(10, weight, lambda kept: len(kept.text))


def _failure():
    from twisted.python.failure import Failure

    return Failure(InternalError("the database is away"))
