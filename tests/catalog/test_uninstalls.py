"""Uninstalls: the rows first, the process afterwards, and only with its last tenant."""

from difyd.errors import PluginNotFound, StorageFailed
from difyd.store.database import declarations
from tests.catalog.house import OTHER, TENANT, WEATHER, House


class Uninstalling(House):
    def test_last(self) -> None:
        """With the last tenant copy, process and declaration go; the package stays for the next install."""
        mine = self.have(WEATHER)
        self.got(self.installations.find(TENANT, "acme/weather"))
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.failureResultOf(self.begun(self.installations.find(TENANT, "acme/weather")), PluginNotFound)
        self.failureResultOf(self.begun(self.installations.declaration(WEATHER)), PluginNotFound)
        self.assertEqual((self.copies(), self.launcher.retired), ([], [WEATHER]))
        self.assertTrue(self.got(self.blobs.exists(self.areas.package(WEATHER))))

    def test_shared(self) -> None:
        """Another tenant keeps all of it."""
        mine = self.have(WEATHER)
        self.have(WEATHER, OTHER)
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.assertEqual((self.copies(), self.launcher.retired), ([WEATHER], []))
        self.assertEqual(self.got(self.installations.find(OTHER, "acme/weather")).identifier, WEATHER)

    def test_unknown(self) -> None:
        """What is not there, or is another tenant's, is uninstalled."""
        mine = self.have(WEATHER)
        self.got(self.uninstalls.uninstall(TENANT, "no such installation"))
        self.got(self.uninstalls.uninstall(OTHER, mine))
        self.assertEqual(self.installed(), WEATHER)

    def test_gone_caller(self) -> None:
        """The caches hear of it although the caller has hung up."""
        mine = self.have(WEATHER)
        self.got(self.installations.find(TENANT, "acme/weather"))
        self.begun(self.uninstalls.uninstall(TENANT, mine)).addErrback(lambda _: None).cancel()
        self.failureResultOf(self.begun(self.installations.find(TENANT, "acme/weather")), PluginNotFound)

    def test_while_another_tenant_installs(self) -> None:
        """Nothing is taken away from an install that is under way; when that fails, it is."""
        mine = self.have(WEATHER)
        self.launcher.running.clear()
        self.install(WEATHER, tenant=OTHER)
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.wait(10)
        self.assertEqual((self.copies(), self.launcher.retired), ([WEATHER], []))
        self.launcher.fail(WEATHER, "no")
        self.wait(3)
        self.assertEqual((self.copies(), self.launcher.retired), ([], [WEATHER]))

    def test_reinstall(self) -> None:
        """After an uninstall the package can be installed again once it is uploaded."""
        mine = self.have(WEATHER)
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.upload(WEATHER)
        task = self.install(WEATHER)
        self.launcher.ready(WEATHER)
        self.assertEqual((self.entries(task), self.copies()), ([("success", "installed")], [WEATHER]))

    def test_storage_away(self) -> None:
        """A storage that cannot delete now does not undo the uninstall; the next start finds the copy."""
        mine = self.have(WEATHER)
        copy = self.directory / "storage" / self.areas.copy(WEATHER)
        copy.unlink()
        (copy / "in the way").mkdir(parents=True)
        self.got(self.uninstalls.uninstall(TENANT, mine))
        self.assertEqual((self.installed(), self.launcher.retired), (None, [WEATHER]))


class Files(House):
    """What the supervisor asks for."""

    def test_installed(self) -> None:
        """Only what has both a copy and a row is to run."""
        self.have(WEATHER)
        from tests.catalog.house import named

        alone = named("alone")
        self.upload(alone)
        self.got(self.packages.mark_installed(alone))
        self.got(self.blobs.write(f"{self.areas.installed}/no plugin", b"?"))
        self.assertEqual(self.got(self.packages.installed()), [WEATHER])
        self.got(self.packages.unmark_installed(WEATHER))
        self.assertEqual(self.got(self.packages.installed()), [])

    def test_fetch(self) -> None:
        """The uploaded package, else the installed copy, else an error that says what to do."""
        self.have(WEATHER)
        target = self.directory / "out"
        self.got(self.packages.fetch(WEATHER, target))
        self.assertEqual(target.read_bytes(), f"package of {WEATHER}".encode())
        target.unlink()
        self.got(self.blobs.delete(self.areas.package(WEATHER)))
        self.got(self.packages.fetch(WEATHER, target))
        self.assertEqual(target.read_bytes(), f"package of {WEATHER}".encode())
        self.got(self.packages.unmark_installed(WEATHER))
        self.assertEqual(
            self.refused(self.packages.fetch(WEATHER, target), StorageFailed), "plugin package not found, please upload it firstly"
        )

    def test_declaration(self) -> None:
        """The stored one."""
        self.upload(WEATHER)
        text = self.got(self.database.read(declarations.get_blocking, WEATHER))
        self.assertEqual(self.got(self.packages.declaration(WEATHER)).text, text)
