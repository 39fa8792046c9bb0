"""Who has which plugin."""

from sqlalchemy import delete, insert, update

from difyd.entities.installation import Installation, RuntimeType
from difyd.errors import InternalError, PluginNotFound
from difyd.store.database import declarations, endpoints, installations
from difyd.store.database.installations import AlreadyInstalled, Removed, Repair, Upgraded
from difyd.store.database.tables import CATEGORIES, plugin_declarations, plugin_installations, plugins, serverless_runtimes
from tests.store.database.cases import NOBODY, OTHER, TENANT, WEATHER, WEATHER_2, DatabaseCase, SQLiteCase, declared, plugin


class InstallationsContract(DatabaseCase):
    def upgrade(self, old=WEATHER, new=WEATHER_2, *kinds: str, tenant: str = TENANT):
        return self.do(
            installations.upgrade_blocking,
            tenant,
            old,
            new,
            self.upload(new, *kinds),
            runtime=RuntimeType.LOCAL,
            source="github",
            meta=b'{"repo": "acme/weather"}',
        )

    def refers(self) -> dict[str, int]:
        return dict(self.rows(plugins, "plugin_unique_identifier", "refers"))

    def providers(self) -> dict[str, list[tuple[str, ...]]]:
        columns = ("tenant_id", "plugin_unique_identifier", "plugin_id", "provider")
        found = {kind: self.rows(table, *columns) for kind, table in CATEGORIES.items()}
        return {kind: rows for kind, rows in found.items() if rows}

    def declared(self) -> list[str]:
        return [text for (text,) in self.rows(plugin_declarations, "plugin_unique_identifier")]

    # looking up

    def test_found(self) -> None:
        """An installation is found by plugin id, by its id and by its version."""
        made = self.install(WEATHER)
        self.assertEqual(made, Installation(made.id, TENANT, WEATHER, RuntimeType.LOCAL))
        self.assertEqual(self.read(installations.find_blocking, TENANT, "acme/weather"), made)
        self.assertEqual(self.read(installations.by_id_blocking, TENANT, made.id), made)
        self.assertEqual(self.read(installations.by_identifier_blocking, TENANT, WEATHER), made)

    def test_not_found(self) -> None:
        """Another tenant's, another version's or nobody's is None."""
        made = self.install(WEATHER)
        self.assertIsNone(self.read(installations.find_blocking, OTHER, "acme/weather"))
        self.assertIsNone(self.read(installations.find_blocking, TENANT, "acme/maps"))
        self.assertIsNone(self.read(installations.by_id_blocking, OTHER, made.id))
        self.assertIsNone(self.read(installations.by_id_blocking, TENANT, NOBODY))
        self.assertIsNone(self.read(installations.by_identifier_blocking, TENANT, WEATHER_2))

    def test_several(self) -> None:
        """Several at once, more than fit in one statement; the rest is left out."""
        weather, maps = self.install(WEATHER), self.install(plugin("maps"))
        wanted = ["acme/weather", "acme/maps", *(f"acme/p{number}" for number in range(1200)), "acme/weather"]
        self.assertEqual(self.read(installations.find_many_blocking, TENANT, wanted), {"acme/weather": weather, "acme/maps": maps})
        self.assertEqual(self.read(installations.find_many_blocking, TENANT, []), {})

    def test_in_use(self) -> None:
        """A version is in use when any tenant has it; an upload alone does not count."""
        self.upload(WEATHER_2)
        self.install(WEATHER, tenant=OTHER)
        self.assertTrue(self.read(installations.in_use_blocking, WEATHER))
        self.assertFalse(self.read(installations.in_use_blocking, WEATHER_2))

    def test_identifiers(self) -> None:
        """What must run: every installed version once, by the way it runs; rows that cannot be read are nobody's business."""
        self.install(WEATHER)
        self.install(WEATHER, tenant=OTHER)
        self.install(plugin("maps"))
        old = plugin(author=TENANT)
        self.install(old)
        self.do(lambda transaction: transaction.connection.execute(insert(plugins).values(**transaction.stamps(), install_type="local")))
        self.assertEqual(self.read(installations.identifiers_blocking, RuntimeType.LOCAL), [WEATHER, plugin("maps")])
        self.assertEqual(self.read(installations.identifiers_blocking, RuntimeType.SERVERLESS), [])

    def test_named(self) -> None:
        """Whatever a row names, in whatever state: nothing of it is left over."""
        self.install(WEATHER)
        self.install(plugin("maps"), tenant=OTHER)
        self.do(lambda transaction: transaction.connection.execute(delete(plugins).where(plugins.c.plugin_unique_identifier == WEATHER.text)))
        old = plugin(author=TENANT)
        self.install(old)
        self.assertEqual(self.read(installations.named_blocking), {WEATHER, plugin("maps"), old})

    def test_remote_like(self) -> None:
        """A row of an old daemon whose author is a tenant is a plugin under development, whatever its runtime type says."""
        self.assertEqual(self.install(plugin(author=TENANT)).runtime, RuntimeType.REMOTE)

    def test_unreadable(self) -> None:
        """A row that makes no sense is an error that names it, not a wrong answer."""
        made = self.install(WEATHER)
        for values in ({"plugin_unique_identifier": "nonsense"}, {"plugin_unique_identifier": WEATHER.text, "runtime_type": "magic"}):
            self.do(lambda transaction, values=values: transaction.connection.execute(update(plugin_installations).values(**values)))
            self.assertIn(made.id, str(self.refused(InternalError, installations.find_blocking, TENANT, "acme/weather")))

    # installing

    def test_install(self) -> None:
        """The first tenant of a version: all rows as the reference writes them."""
        made = self.do(
            installations.install_blocking,
            TENANT,
            WEATHER,
            declared(WEATHER, "tool", "endpoint"),
            runtime=RuntimeType.LOCAL,
            source="marketplace",
            meta=b'{"b": 1.0, "a": 2}',
        )
        self.assertEqual(
            self.rows(plugins, *(column.name for column in plugins.c if column.name not in ("id", "created_at", "updated_at"))),
            [(WEATHER.text, "acme/weather", 1, "local", "", "{}", "marketplace")],
        )
        self.assertEqual(
            self.rows(plugin_installations, "id", "tenant_id", "plugin_id", "plugin_unique_identifier", "runtime_type", "source", "meta"),
            [(made.id, TENANT, "acme/weather", WEATHER.text, "local", "marketplace", '{"b": 1.0, "a": 2}')],
        )
        self.assertEqual(self.rows(plugin_installations, "endpoints_setups", "endpoints_active"), [(0, 0)])
        self.assertEqual(self.providers(), {"tool": [(TENANT, WEATHER.text, "acme/weather", "weather")]})

    def test_every_kind(self) -> None:
        """Each kind with a provider has its row under the provider's name; an extension has none."""
        for kind in CATEGORIES:
            self.install(plugin(kind), kind)
        self.install(plugin("hooks"), "endpoint")
        expected = {kind: [(TENANT, plugin(kind).text, f"acme/{kind}", kind)] for kind in CATEGORIES}
        self.assertEqual(self.providers(), expected)

    def test_remote(self) -> None:
        """The declaration of a plugin under development is kept with the plugin."""
        declaration = declared(WEATHER)
        self.do(installations.install_blocking, TENANT, WEATHER, declaration, runtime=RuntimeType.REMOTE, source="remote")
        self.assertEqual(self.rows(plugins, "install_type", "remote_declaration"), [("remote", declaration.text.decode())])
        self.assertEqual(self.read(declarations.get_blocking, WEATHER), declaration.text)

    def test_further_tenant(self) -> None:
        """Another tenant shares the version."""
        self.install(WEATHER)
        self.install(WEATHER, tenant=OTHER)
        self.assertEqual(self.refers(), {WEATHER.text: 2})

    def test_already(self) -> None:
        """A tenant has one version of a plugin; the refusal names it, and changes nothing."""
        made = self.install(WEATHER)
        for version in (WEATHER, WEATHER_2):
            why = self.refused(
                AlreadyInstalled,
                installations.install_blocking,
                TENANT,
                version,
                declared(version),
                runtime=RuntimeType.LOCAL,
                source="package",
            )
            self.assertEqual((str(why), why.installation), ("plugin already installed", made))
        self.assertEqual(self.refers(), {WEATHER.text: 1})

    def test_counters_start_with_what_is_there(self) -> None:
        """Endpoints outlive their plugin's installation; the next one counts them."""
        made = self.install(WEATHER)
        for number in range(3):
            self.do(
                endpoints.create_blocking,
                id=self.database.ids.new(),
                hook_id=f"hook{number}",
                tenant=TENANT,
                user="u",
                plugin_id="acme/weather",
                name="n",
                settings=b"{}",
            )
        (first, *_) = self.read(endpoints.list_blocking, TENANT, 1, 10)
        self.do(endpoints.enable_blocking, TENANT, first.endpoint.id, False)
        self.do(installations.uninstall_blocking, TENANT, made.id)
        self.install(WEATHER_2)
        self.assertEqual(self.rows(plugin_installations, "endpoints_setups", "endpoints_active"), [(3, 2)])

    def test_same_time_one_tenant(self) -> None:
        """Eight installs of one version for one tenant: one succeeds, the others hear of it."""
        declaration = self.upload(WEATHER)
        install = self.transaction(installations.install_blocking, TENANT, WEATHER, declaration, runtime=RuntimeType.LOCAL, source="package")
        results = self.at_once(*[install] * 8)
        self.assertEqual(sorted(type(result).__name__ for result in results), ["AlreadyInstalled"] * 7 + ["Installation"])
        self.assertEqual(self.refers(), {WEATHER.text: 1})
        self.assertEqual(len(self.rows(CATEGORIES["tool"], "id")), 1)

    def test_same_time_many_tenants(self) -> None:
        """Eight installs of one version for eight tenants: all succeed and are counted."""
        declaration = self.upload(WEATHER)
        tenants = [f"{number:08d}-0000-7000-8000-000000000000" for number in range(8)]
        results = self.at_once(
            *[
                self.transaction(installations.install_blocking, tenant, WEATHER, declaration, runtime=RuntimeType.LOCAL, source="package")
                for tenant in tenants
            ]
        )
        self.assertEqual([result.tenant for result in results], tenants)
        self.assertEqual(self.refers(), {WEATHER.text: 8})

    def test_same_time_two_versions(self) -> None:
        """Two versions of one plugin for one tenant: one gets in, the other leaves nothing behind."""
        versions = [(version, self.upload(version)) for version in (WEATHER, WEATHER_2)]
        results = self.at_once(
            *[
                self.transaction(installations.install_blocking, TENANT, version, declaration, runtime=RuntimeType.LOCAL, source="package")
                for version, declaration in versions
            ]
        )
        self.assertEqual(sorted(type(result).__name__ for result in results), ["AlreadyInstalled", "Installation"])
        self.assertEqual(list(self.refers().values()), [1])

    # upgrading

    def test_upgrade(self) -> None:
        """The installation keeps its id, age and counters; what nobody has any more is gone with its declaration."""
        made = self.install(WEATHER, "tool")
        created = self.rows(plugin_installations, "created_at")
        done = self.upgrade(WEATHER, WEATHER_2, "datasource")
        self.assertEqual(done, Upgraded(Installation(made.id, TENANT, WEATHER_2, RuntimeType.LOCAL), WEATHER, False))
        self.assertEqual(
            self.rows(plugin_installations, "id", "plugin_unique_identifier", "runtime_type", "source", "meta"),
            [(made.id, WEATHER_2.text, "local", "github", '{"repo": "acme/weather"}')],
        )
        self.assertEqual(self.rows(plugin_installations, "created_at"), created)
        self.assertGreater(self.rows(plugin_installations, "updated_at"), created)
        self.assertEqual(self.rows(plugins, "plugin_unique_identifier", "refers", "manifest_type"), [(WEATHER_2.text, 1, "plugin")])
        self.assertEqual(self.providers(), {"datasource": [(TENANT, WEATHER_2.text, "acme/weather", "weather")]})
        self.assertEqual(self.declared(), [WEATHER_2.text])

    def test_upgrade_of_a_debug_build(self) -> None:
        """A debug build that is upgraded to a package is a proper installation from then on."""
        self.do(installations.install_blocking, TENANT, WEATHER, declared(WEATHER), runtime=RuntimeType.REMOTE, source="remote")
        self.assertEqual(self.upgrade().installation.runtime, RuntimeType.LOCAL)
        self.assertEqual(self.rows(plugin_installations, "runtime_type", "source"), [("local", "github")])
        self.assertEqual(self.rows(plugins, "plugin_unique_identifier", "install_type"), [(WEATHER_2.text, "local")])

    def test_upgrade_of_one_of_two(self) -> None:
        """Another tenant keeps the old version, with all that belongs to it."""
        self.install(WEATHER)
        self.install(WEATHER, tenant=OTHER)
        self.assertIsNone(self.upgrade().gone)
        self.assertEqual(self.refers(), {WEATHER.text: 1, WEATHER_2.text: 1})
        self.assertEqual(self.declared(), [WEATHER.text, WEATHER_2.text])
        self.assertEqual(self.upgrade(tenant=OTHER).gone, WEATHER)
        self.assertEqual(self.refers(), {WEATHER_2.text: 2})

    def test_upgrade_and_models(self) -> None:
        """The list of models has changed when either version has models."""
        self.install(WEATHER, "tool")
        self.assertTrue(self.upgrade(WEATHER, WEATHER_2, "model").models)
        self.assertTrue(self.upgrade(WEATHER_2, plugin(version="3.0.0"), "tool").models)
        self.assertFalse(self.upgrade(plugin(version="3.0.0"), plugin(version="4.0.0"), "tool").models)

    def test_upgrade_of_nothing(self) -> None:
        """A tenant that has nothing, or another version, is told so, and no row is left of the new one."""
        new = plugin(version="3.0.0")
        upgrade = (installations.upgrade_blocking, TENANT, WEATHER, new, declared(new))
        how = {"runtime": RuntimeType.LOCAL, "source": "package"}
        self.assertEqual(str(self.refused(PluginNotFound, *upgrade, **how)), "plugin has not been installed")
        self.install(WEATHER_2)
        self.refused(PluginNotFound, *upgrade, **how)
        self.assertEqual(self.refers(), {WEATHER_2.text: 1})

    def test_same_time_upgrades(self) -> None:
        """Two upgrades of one installation: the second finds that the old version is gone."""
        self.install(WEATHER)
        targets = [plugin(version="3.0.0"), plugin(version="4.0.0")]
        results = self.at_once(
            *[
                self.transaction(
                    installations.upgrade_blocking, TENANT, WEATHER, new, self.upload(new), runtime=RuntimeType.LOCAL, source="package"
                )
                for new in targets
            ]
        )
        self.assertEqual(sorted(type(result).__name__ for result in results), ["PluginNotFound", "Upgraded"])
        self.assertEqual(list(self.refers().values()), [1])
        self.assertEqual(len(self.rows(CATEGORIES["tool"], "id")), 1)

    def test_same_time_in_opposite_directions(self) -> None:
        """Tenants that swap their versions do not stop each other."""
        self.install(WEATHER)
        self.install(WEATHER_2, tenant=OTHER)
        for _ in range(5):
            results = self.at_once(
                *[
                    self.transaction(
                        installations.upgrade_blocking, tenant, old, new, declared(new), runtime=RuntimeType.LOCAL, source="package"
                    )
                    for tenant, old, new in ((TENANT, WEATHER, WEATHER_2), (OTHER, WEATHER_2, WEATHER))
                ]
            )
            self.assertEqual([type(result).__name__ for result in results], ["Upgraded", "Upgraded"])
            self.assertEqual(self.refers(), {WEATHER.text: 1, WEATHER_2.text: 1})
            self.assertEqual(sorted(self.declared()), [WEATHER.text, WEATHER_2.text])
            for tenant, old, new in ((TENANT, WEATHER_2, WEATHER), (OTHER, WEATHER, WEATHER_2)):
                self.upgrade(old, new, tenant=tenant)

    # uninstalling

    def test_uninstall(self) -> None:
        """With the last installation everything goes that is about the version; only then."""
        mine, other = self.install(WEATHER, "model"), self.install(WEATHER, "model", tenant=OTHER)
        self.assertEqual(self.do(installations.uninstall_blocking, TENANT, mine.id), Removed(mine, last=False, models=True))
        self.assertEqual((self.refers(), self.declared()), ({WEATHER.text: 1}, [WEATHER.text]))
        self.assertEqual(self.providers(), {"model": [(OTHER, WEATHER.text, "acme/weather", "weather")]})
        self.assertEqual(self.do(installations.uninstall_blocking, OTHER, other.id), Removed(other, last=True, models=True))
        self.assertEqual((self.refers(), self.declared(), self.providers()), ({}, [], {}))
        self.assertEqual(self.rows(plugin_installations, "id"), [])

    def test_uninstall_of_nothing(self) -> None:
        """Unknown, removed before, or another tenant's: nothing happens."""
        made = self.install(WEATHER)
        self.assertIsNone(self.do(installations.uninstall_blocking, OTHER, made.id))
        self.assertIsNone(self.do(installations.uninstall_blocking, TENANT, NOBODY))
        self.do(installations.uninstall_blocking, TENANT, made.id)
        self.assertIsNone(self.do(installations.uninstall_blocking, TENANT, made.id))

    def test_uninstall_of_a_damaged_one(self) -> None:
        """A plugin whose declaration and whose own row are lost can still be removed, and its function's row goes too."""
        made = self.install(WEATHER)

        def damage(transaction) -> None:
            transaction.connection.execute(delete(plugin_declarations))
            transaction.connection.execute(delete(plugins))
            transaction.connection.execute(insert(serverless_runtimes).values(**transaction.stamps(), plugin_unique_identifier=WEATHER.text))

        self.do(damage)
        self.assertTrue(self.do(installations.uninstall_blocking, TENANT, made.id).last)
        self.assertEqual((self.providers(), self.rows(serverless_runtimes, "id")), ({}, []))

    def test_same_time_uninstalls(self) -> None:
        """All tenants leave at once: exactly one is the last."""
        tenants = [f"{number:08d}-0000-7000-8000-000000000000" for number in range(6)]
        made = [self.install(WEATHER, tenant=tenant) for tenant in tenants]
        results = self.at_once(
            *[self.transaction(installations.uninstall_blocking, installation.tenant, installation.id) for installation in made]
        )
        self.assertEqual(sorted(removed.last for removed in results), [False] * 5 + [True])
        self.assertEqual((self.refers(), self.declared()), ({}, []))

    def test_last_leaves_while_another_comes(self) -> None:
        """Whoever is first, a tenant that installs while the last one leaves has a complete installation."""
        declaration = declared(WEATHER)
        for _ in range(5):
            made = self.install(WEATHER)
            removed, installed = self.at_once(
                self.transaction(installations.uninstall_blocking, TENANT, made.id),
                self.transaction(installations.install_blocking, OTHER, WEATHER, declaration, runtime=RuntimeType.LOCAL, source="package"),
            )
            self.assertEqual((type(removed), installed.tenant), (Removed, OTHER))
            self.assertEqual((self.refers(), self.declared()), ({WEATHER.text: 1}, [WEATHER.text]))
            self.do(installations.uninstall_blocking, OTHER, installed.id)

    # repairing

    def test_nothing_to_repair(self) -> None:
        """A sound database is left alone."""
        self.install(WEATHER)
        self.upload(WEATHER_2)
        self.assertEqual(self.do(installations.repair_blocking), [])

    def test_repair(self) -> None:
        """Wrong counts, versions that nobody has and versions without a row are put right and reported."""
        self.install(WEATHER)
        self.install(plugin("maps"))
        self.install(plugin("lost"))

        def damage(transaction) -> None:
            connection = transaction.connection
            connection.execute(update(plugins).where(plugins.c.plugin_id == "acme/weather").values(refers=7))
            connection.execute(delete(plugin_installations).where(plugin_installations.c.plugin_id == "acme/maps"))
            connection.execute(delete(plugins).where(plugins.c.plugin_id == "acme/lost"))

        self.do(damage)
        repairs = self.do(installations.repair_blocking)
        expected = [Repair(plugin("lost").text, -1, 1), Repair(plugin("maps").text, 1, 0), Repair(WEATHER.text, 7, 1)]
        self.assertEqual(sorted(repairs, key=lambda repair: repair.identifier), expected)
        self.assertEqual(self.refers(), {WEATHER.text: 1, plugin("lost").text: 1})
        self.assertEqual(self.do(installations.repair_blocking), [])
        self.assertEqual(self.read(installations.identifiers_blocking, RuntimeType.LOCAL), [WEATHER, plugin("lost")])


class SQLiteInstallationsTests(InstallationsContract, SQLiteCase):
    def test_any_tenant(self) -> None:
        """The embedded database takes tenants that are no UUIDs."""
        self.assertEqual(self.install(WEATHER, tenant="tenant 1").tenant, "tenant 1")
