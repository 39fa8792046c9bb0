"""What management lists."""

from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import delete, event, update

from difyd.entities.declaration import Declaration
from difyd.entities.installation import RuntimeType
from difyd.errors import InternalError
from difyd.store.database import changes, declarations, endpoints, installations, listings, tasks
from difyd.store.database.listings import Filter
from difyd.store.database.memory import Memory
from difyd.store.database.records import MissingRecord
from difyd.store.database.tables import CATEGORIES, plugin_declarations, plugin_installations, plugins
from tests.store.database.cases import OTHER, TENANT, WEATHER, WEATHER_2, DatabaseCase, SQLiteCase, declared, plugin


def plain(value):
    """As a client decodes it."""
    return msgspec.json.decode(msgspec.json.encode(value))


class ListingsContract(DatabaseCase):
    def statements(self, work, *args, memory: Memory | None = None) -> int:
        """How many statements a listing takes, after the first one has made the connection; with this memory, or none."""
        work_done: list[str] = []

        def note(connection, cursor, statement, *rest) -> None:
            work_done.append(statement)

        self.read(work, *args)
        self.database.memory = memory or Memory()
        event.listen(self.engine, "before_cursor_execute", note)
        try:
            self.read(work, *args)
        finally:
            event.remove(self.engine, "before_cursor_execute", note)
        return len([statement for statement in work_done if not statement.startswith("BEGIN") and changes.NAME not in statement])

    def damage(self, identifier, text: str | None) -> None:
        """Spoil a declaration, or lose it."""
        mine = plugin_declarations.c.plugin_unique_identifier == identifier.text
        statement = delete(plugin_declarations) if text is None else update(plugin_declarations).values(declaration=text)
        self.do(lambda transaction: transaction.connection.execute(statement.where(mine)))

    def names(self, page) -> list[str]:
        return [record.name for record in page.records]

    # installed plugins

    def test_installed(self) -> None:
        """Every key of the wire, the declaration and `meta` as they were written."""
        text = b'{"version": "1.0.0-declared","name":"weather", "tool":{"identity":{"name":"weather"}}, "digits": 1.0}'
        declaration = Declaration.decode(text)
        self.do(declarations.add_blocking, WEATHER, text)
        made = self.do(
            installations.install_blocking,
            TENANT,
            WEATHER,
            declaration,
            runtime=RuntimeType.LOCAL,
            source="github",
            meta=b'{"z":1.0,"a":[]}',
        )
        (record,) = self.read(listings.installed_blocking, TENANT, 1, 10).records
        self.assertEqual(
            plain(record),
            {
                "id": made.id,
                "name": "weather",
                "plugin_id": "acme/weather",
                "tenant_id": TENANT,
                "plugin_unique_identifier": WEATHER.text,
                "endpoints_active": 0,
                "endpoints_setups": 0,
                "installation_id": made.id,
                "declaration": msgspec.json.decode(text),
                "runtime_type": "local",
                "version": "1.0.0-declared",
                "created_at": "2026-03-01T08:15:06.12Z",
                "updated_at": "2026-03-01T08:15:06.12Z",
                "source": "github",
                "checksum": "a" * 64,
                "meta": {"z": 1, "a": []},
            },
        )
        self.assertIn(text, msgspec.json.encode(record))
        self.assertIn(b'{"z":1.0,"a":[]}', msgspec.json.encode(record))

    def test_zone(self) -> None:
        """Times are shown in the daemon's zone."""
        self.install(WEATHER)
        self.database.zone = ZoneInfo("Asia/Shanghai")
        (record,) = self.read(listings.installed_blocking, TENANT, 1, 10).records
        self.assertEqual(record.created_at, "2026-03-01T16:15:06.12+08:00")

    def test_pages(self) -> None:
        """Newest first, each plugin on one page, with the number of all."""
        for number in range(5):
            self.install(plugin(f"p{number}"))
        self.install(WEATHER, tenant=OTHER)
        pages = [self.read(listings.installed_blocking, TENANT, page, 2) for page in (1, 2, 3, 4)]
        self.assertEqual([self.names(page) for page in pages], [["p4", "p3"], ["p2", "p1"], ["p0"], []])
        self.assertEqual({page.total for page in pages}, {5})
        for far in (10**18, 10**30):
            self.assertEqual(self.read(listings.installed_blocking, TENANT, far, 256), listings.Page([], total=5))
            self.assertEqual(self.read(listings.providers_blocking, TENANT, "tool", far, 256).records, [])
            self.assertEqual(self.read(tasks.list_blocking, TENANT, far, 256), [])
            self.assertEqual(self.read(endpoints.list_blocking, TENANT, far, 100), [])
        self.assertEqual(self.read(listings.installed_blocking, TENANT, 1, 256).total, 5)

    def test_nothing(self) -> None:
        """A tenant without plugins has empty lists."""
        self.assertEqual(self.read(listings.installed_blocking, TENANT, 1, 10), listings.Page([]))
        self.assertEqual(self.read(listings.batch_blocking, TENANT, []), listings.Page([]))
        self.assertEqual(self.read(listings.bindings_blocking, TENANT), listings.Page([]))
        self.assertEqual(self.read(listings.tools_exist_blocking, TENANT, []), [])
        self.assertEqual(self.read(listings.missing_blocking, TENANT, []), [])

    def test_broken_declaration(self) -> None:
        """A row whose declaration is lost or spoilt is left out and named; the others are listed."""
        for name in ("good", "lost", "cut", "deep"):
            self.install(plugin(name))
        self.damage(plugin("lost"), None)
        self.damage(plugin("cut"), '{"name":"cut","tool":{')
        self.damage(plugin("deep"), '{"name":' + "[" * 100_000 + "]" * 100_000 + "}")
        page = self.read(listings.installed_blocking, TENANT, 1, 10)
        self.assertEqual((self.names(page), page.total), (["good"], 4))
        self.assertEqual(sorted(page.broken), sorted(plugin(name).text for name in ("lost", "cut", "deep")))

    def test_broken_meta(self) -> None:
        """A `meta` that is no object is shown as an empty one: the client would refuse the whole list."""
        self.install(WEATHER)
        for text in (None, "", "null", "[]", "{broken"):
            self.do(lambda transaction, text=text: transaction.connection.execute(update(plugin_installations).values(meta=text)))
            (record,) = self.read(listings.installed_blocking, TENANT, 1, 10).records
            self.assertEqual(bytes(record.meta), b"{}")

    def test_remote(self) -> None:
        """A plugin under development is listed with the declaration that it registered."""
        declaration = declared(WEATHER, label={"en_US": "Debugged"})
        self.do(installations.install_blocking, TENANT, WEATHER, declaration, runtime=RuntimeType.REMOTE, source="remote")
        (record,) = self.read(listings.installed_blocking, TENANT, 1, 10).records
        self.assertEqual((bytes(record.declaration), record.runtime_type), (declaration.text, "remote"))

    # one category

    def search(self, category: str, page: int = 1, size: int = 10, **wanted):
        return self.read(listings.category_blocking, TENANT, category, page, size, Filter(**wanted))

    def test_categories(self) -> None:
        """Every plugin is in exactly one category."""
        kinds = {"t": ("tool", "endpoint"), "m": ("model",), "d": ("datasource",), "a": ("agent_strategy",), "r": ("trigger",)}
        for name, kind in {**kinds, "e": ("endpoint",)}.items():
            self.install(plugin(name), *kind)
        found = {category: self.names(self.search(category)) for category in listings.CATEGORIES}
        expected = {"tool": ["t"], "model": ["m"], "extension": ["e"], "agent-strategy": ["a"], "datasource": ["d"], "trigger": ["r"]}
        self.assertEqual(found, expected)
        ids = {category: self.read(listings.plugin_ids_blocking, TENANT, category) for category in listings.CATEGORIES}
        self.assertEqual(ids, {category: [f"acme/{name}"] for category, (name,) in expected.items()})
        self.assertEqual(self.read(listings.plugin_ids_blocking, OTHER, "extension"), [])

    def test_category_pages(self) -> None:
        """Pages count what matches; `more` says whether there is another one."""
        for number in range(5):
            self.install(plugin(f"p{number}"))
            self.install(plugin(f"m{number}"), "model")
        pages = [self.search("tool", page, 2) for page in (1, 2, 3, 4)]
        self.assertEqual([self.names(page) for page in pages], [["p4", "p3"], ["p2", "p1"], ["p0"], []])
        self.assertEqual([page.more for page in pages], [True, True, False, False])
        self.assertFalse(self.search("tool", 1, 5).more)

    def test_far_back(self) -> None:
        """What matches is found behind any number of others."""
        self.install(plugin("needle"), "model")

        def many(transaction) -> None:
            for number in range(300):
                identifier = plugin(f"p{number}")
                declarations.add_blocking(transaction, identifier, declared(identifier).text)
                installations.install_blocking(
                    transaction, TENANT, identifier, declared(identifier), runtime=RuntimeType.LOCAL, source="package"
                )

        self.do(many)
        self.assertEqual(self.names(self.search("model")), ["needle"])
        self.assertEqual(len(self.search("tool", 2, 256).records), 300 - 256)

    def test_query(self) -> None:
        """Part of the id, the name, the label or the description, in any case and in the language asked for, else in English."""
        label, description = {"en_US": "Weather", "zh_Hans": "天气"}, {"en_US": "Tells the FORECAST"}
        self.install(plugin("sky"), label=label, description=description)
        for query, language, found in (
            ("ACME/s", "en_US", True),
            ("SKY", "en_US", True),
            ("weath", "en_US", True),
            ("forecast", "en_US", True),
            ("天", "zh_Hans", True),
            ("weath", "zh_Hans", False),
            ("forecast", "zh_Hans", True),
            ("天", "en_US", False),
            ("maps", "en_US", False),
            ("", "ja_JP", True),
        ):
            self.assertEqual(bool(self.search("tool", query=query, language=language).records), found, (query, language))

    def test_tags(self) -> None:
        """One shared tag is enough."""
        self.install(plugin("a"), tags=["search", "travel"])
        self.install(plugin("b"), tags=["travel"])
        self.install(plugin("c"))
        self.assertEqual(self.names(self.search("tool", tags=["search", "news"])), ["a"])
        self.assertEqual(self.names(self.search("tool", tags=["travel"])), ["b", "a"])
        self.assertEqual(self.names(self.search("tool")), ["c", "b", "a"])

    def test_category_with_broken_rows(self) -> None:
        """Here too they are left out and named."""
        self.install(WEATHER)
        self.install(plugin("lost"))
        self.damage(plugin("lost"), None)
        page = self.search("tool")
        self.assertEqual((self.names(page), page.broken), (["weather"], (plugin("lost").text,)))

    def test_ids_once(self) -> None:
        """Each plugin once, however many rows it has; newest first."""
        self.install(WEATHER)
        self.install(plugin("maps"))

        def again(transaction) -> None:
            table = CATEGORIES["tool"]
            values = {"tenant_id": TENANT, "provider": "two", "plugin_id": "acme/weather", "plugin_unique_identifier": WEATHER.text}
            transaction.connection.execute(table.insert().values(**transaction.stamps(), **values))

        self.do(again)
        self.assertEqual(self.read(listings.plugin_ids_blocking, TENANT, "tool"), ["acme/weather", "acme/maps"])

    # several by name

    def test_batch(self) -> None:
        """Those that are installed, with the identifier's version."""
        made = self.install(plugin(version="1.2.3-rc1"))
        self.install(plugin("maps"))
        (record,) = self.read(listings.batch_blocking, TENANT, ["acme/weather", "acme/unknown", "acme/weather"]).records
        self.assertEqual(
            {key: value for key, value in plain(record).items() if key != "declaration"},
            {
                "id": made.id,
                "created_at": "2026-03-01T08:15:06.12Z",
                "updated_at": "2026-03-01T08:15:06.12Z",
                "tenant_id": TENANT,
                "plugin_id": "acme/weather",
                "plugin_unique_identifier": made.identifier.text,
                "runtime_type": "local",
                "endpoints_setups": 0,
                "endpoints_active": 0,
                "source": "package",
                "meta": {},
                "version": "1.2.3-rc1",
                "checksum": "a" * 64,
            },
        )
        self.assertEqual(plain(record.declaration)["name"], "weather")

    def test_missing(self) -> None:
        """Versions that the tenant lacks, with what it has instead, in the order asked; exact matches are left out."""
        self.install(WEATHER)
        self.install(plugin("maps"))
        asked = [plugin("other"), WEATHER_2, plugin("maps")]
        expected = [MissingRecord(plugin("other").text, ""), MissingRecord(WEATHER_2.text, WEATHER.text)]
        self.assertEqual(self.read(listings.missing_blocking, TENANT, asked), expected)

    def test_tools_exist(self) -> None:
        """Plugin id and provider must both fit; answers are in the order asked, also for very many."""
        self.install(WEATHER)
        self.install(plugin("model"), "model")
        asked = [("acme/weather", "weather"), ("acme/weather", "other"), ("acme/model", "model"), ("acme/none", "none")]
        self.assertEqual(self.read(listings.tools_exist_blocking, TENANT, asked), [True, False, False, False])
        many = [(f"acme/p{number}", "x") for number in range(1200)] + [("acme/weather", "weather")]
        self.assertEqual(self.read(listings.tools_exist_blocking, TENANT, many), [False] * 1200 + [True])

    # providers

    def test_providers(self) -> None:
        """The kind's part of the declaration, newest first; rows of other kinds and tenants are not there."""
        self.install(WEATHER)
        self.install(plugin("maps"))
        self.install(plugin("model"), "model")
        self.install(WEATHER, tenant=OTHER)
        records = self.read(listings.providers_blocking, TENANT, "tool", 1, 10).records
        self.assertEqual([record.provider for record in records], ["maps", "weather"])
        (row,) = self.rows(CATEGORIES["model"], "id")
        (record,) = self.read(listings.providers_blocking, TENANT, "model", 1, 10).records
        self.assertEqual(
            plain(record),
            {
                "id": row[0],
                "created_at": "2026-03-01T08:15:10.12Z",
                "updated_at": "2026-03-01T08:15:10.12Z",
                "tenant_id": TENANT,
                "provider": "model",
                "plugin_unique_identifier": plugin("model").text,
                "plugin_id": "acme/model",
                "declaration": {"provider": "model"},
            },
        )
        self.assertEqual(len(self.read(listings.providers_blocking, TENANT, "tool", 2, 1).records), 1)

    def test_agents(self) -> None:
        """Agent strategies come with the `meta` of their declaration, at the end."""
        self.install(WEATHER, "agent_strategy", meta={"version": "0.0.2", "arch": ["amd64"]})
        (record,) = self.read(listings.providers_blocking, TENANT, "agent_strategy", 1, 10).records
        self.assertEqual(list(plain(record))[-2:], ["declaration", "meta"])
        self.assertEqual(plain(record)["meta"], {"version": "0.0.2", "arch": ["amd64"]})
        self.assertEqual(plain(record)["declaration"], {"identity": {"name": "weather"}})

    def test_one_provider(self) -> None:
        """Exactly this plugin and this provider; anything else is None."""
        self.install(WEATHER)
        self.assertEqual(self.read(listings.provider_blocking, TENANT, "tool", "acme/weather", "weather").provider, "weather")
        for tenant, kind, plugin_id, provider in (
            (OTHER, "tool", "acme/weather", "weather"),
            (TENANT, "model", "acme/weather", "weather"),
            (TENANT, "tool", "acme/maps", "weather"),
            (TENANT, "tool", "acme/weather", "maps"),
        ):
            self.assertIsNone(self.read(listings.provider_blocking, tenant, kind, plugin_id, provider))

    def test_broken_provider(self) -> None:
        """A list does without it, a single look-up says what is wrong; a row that its declaration does not bear out is broken too."""
        self.install(WEATHER)
        self.install(plugin("maps"))
        for text in (None, '{"name":"weather"}', "{"):
            if text is not None:
                self.upload(WEATHER)
            self.damage(WEATHER, text)
            page = self.read(listings.providers_blocking, TENANT, "tool", 1, 10)
            self.assertEqual(([record.provider for record in page.records], page.broken), (["maps"], (WEATHER.text,)))
            why = self.refused(InternalError, listings.provider_blocking, TENANT, "tool", "acme/weather", "weather")
            self.assertIn(WEATHER.text, str(why))

    def test_bindings(self) -> None:
        """Newest installation first, each provider of a plugin once; a row of a version that is no longer installed does not count."""
        first = self.install(WEATHER, "model", verified=True)
        second = self.install(plugin("maps"), "model")

        def more(transaction) -> None:
            table = CATEGORIES["model"]
            for identifier, provider in ((WEATHER, "weather"), (WEATHER_2, "old"), (WEATHER, "more")):
                values = {"plugin_id": identifier.plugin_id, "plugin_unique_identifier": identifier.text}
                transaction.connection.execute(table.insert().values(**transaction.stamps(), tenant_id=TENANT, provider=provider, **values))

        self.do(more)
        found = plain(self.read(listings.bindings_blocking, TENANT).records)
        self.assertEqual(
            [(each["provider"], each["installation_id"]) for each in found], [("maps", second.id), ("weather", first.id), ("more", first.id)]
        )
        self.assertEqual(
            found[1],
            {
                "provider": "weather",
                "installation_id": first.id,
                "plugin_id": "acme/weather",
                "plugin_unique_identifier": WEATHER.text,
                "runtime_type": "local",
                "source": "package",
                "version": "1.0.0",
                "verified": True,
            },
        )

    # cost

    def test_statements(self) -> None:
        """The number of statements does not grow with the number of rows."""
        for number in range(20):
            self.install(plugin(f"p{number}"), "model" if number % 2 else "tool")
        ids = [f"acme/p{number}" for number in range(20)]
        self.assertEqual(self.statements(listings.installed_blocking, TENANT, 1, 256), 3)
        self.assertEqual(self.statements(listings.installed_blocking, TENANT, 1, 5), 4)
        self.assertEqual(self.statements(listings.category_blocking, TENANT, "tool", 1, 256, Filter(query="p")), 3)
        self.assertEqual(self.statements(listings.batch_blocking, TENANT, ids), 3)
        self.assertEqual(self.statements(listings.providers_blocking, TENANT, "model", 1, 256), 3)
        self.assertEqual(self.statements(listings.bindings_blocking, TENANT), 3)
        self.assertEqual(self.statements(listings.plugin_ids_blocking, TENANT, "extension"), 1)
        self.assertEqual(self.statements(listings.missing_blocking, TENANT, [WEATHER]), 1)

    # memory

    def descriptions(self) -> list[object]:
        records = self.read(listings.installed_blocking, TENANT, 1, 10).records
        return [msgspec.json.decode(record.declaration).get("description", {}).get("en_US") for record in records]

    def test_remembered(self) -> None:
        """What has been listed once is not read again; all lists share it."""
        self.install(WEATHER)
        self.read(listings.batch_blocking, TENANT, ["acme/weather"])
        again = self.statements(listings.installed_blocking, TENANT, 1, 10, memory=self.database.memory)
        self.assertEqual(again, 1 if self.engine.dialect.name == "sqlite" else 2)  # a server is asked for the stamps each time

    def test_records(self) -> None:
        """Records of rows that stay as they are stay too, on whatever page; one that changes by anything is made anew."""
        made = [self.install(plugin(name)) for name in "abc"]

        def listed() -> dict[str, object]:
            return {record.name: record for record in self.read(listings.installed_blocking, TENANT, 1, 10).records}

        first = listed()
        self.install(plugin("d"))
        change = update(plugin_installations).where(plugin_installations.c.id == made[1].id).values(endpoints_active=7)
        self.do(lambda transaction: transaction.connection.execute(change))
        self.do(installations.uninstall_blocking, TENANT, made[2].id)
        now = listed()
        self.assertEqual(list(now), ["d", "b", "a"])
        self.assertIs(now["a"], first["a"])
        self.assertEqual((first["b"].endpoints_active, now["b"].endpoints_active), (0, 7))

    def test_pieces(self) -> None:
        """The pieces of a record are its JSON; its declaration is the same object in all lists that show it."""
        self.install(WEATHER, "tool", "agent_strategy", meta={"version": "0.0.2"}, icon="\u2028é")
        installed, again = [self.read(look, TENANT, *args).records[0] for look, args in
                            ((listings.installed_blocking, (1, 10)), (listings.batch_blocking, (["acme/weather"],)))]  # fmt: skip
        for record in (
            installed,
            again,
            *(self.read(listings.providers_blocking, TENANT, kind, 1, 10).records[0] for kind in ("tool", "agent_strategy")),
        ):
            self.assertEqual(b"".join(record.pieces), msgspec.json.encode(record))
        self.assertIs(installed.pieces[1], again.pieces[1])

    def test_replaced(self) -> None:
        """Another row is another declaration, and so is a row with another time."""
        self.upload(WEATHER, description={"en_US": "first"})
        row = {"plugin_id": "acme/weather", "plugin_unique_identifier": WEATHER.text, "tenant_id": TENANT, "runtime_type": "local"}
        self.do(lambda transaction: transaction.connection.execute(plugin_installations.insert().values(**transaction.stamps(), **row)))
        self.assertEqual(self.descriptions(), ["first"])
        self.damage(WEATHER, None)
        self.assertEqual(self.descriptions(), [])
        self.upload(WEATHER, description={"en_US": "second"})
        self.assertEqual(self.descriptions(), ["second"])

        def change(transaction) -> None:
            text = declared(WEATHER, description={"en_US": "third"}).text.decode()
            transaction.connection.execute(update(plugin_declarations).values(declaration=text, updated_at=transaction.moment))

        self.do(change)
        self.assertEqual(self.descriptions(), ["third"])

    def test_debugged(self) -> None:
        """What a plugin being debugged declares is read every time: its row may change."""
        declaration = declared(WEATHER, description={"en_US": "first"})
        self.do(installations.install_blocking, TENANT, WEATHER, declaration, runtime=RuntimeType.REMOTE, source="remote")
        self.assertEqual(self.descriptions(), ["first"])
        text = declared(WEATHER, description={"en_US": "second"}).text.decode()
        self.do(lambda transaction: transaction.connection.execute(update(plugins).values(remote_declaration=text)))
        self.assertEqual(self.descriptions(), ["second"])


class SQLiteListingsTests(ListingsContract, SQLiteCase):
    def test_changed_by_hand(self) -> None:
        """Another text counts also where whoever wrote it left the time as it was."""
        self.upload(WEATHER, description={"en_US": "first"})
        self.install(WEATHER)
        self.assertEqual(self.descriptions(), ["first"])
        self.damage(WEATHER, declared(WEATHER, description={"en_US": "second"}).text.decode())
        self.assertEqual(self.descriptions(), ["second"])
