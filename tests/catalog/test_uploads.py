"""Uploads: what is stored of a package, and that nothing is stored of one that fails."""

from pathlib import Path
from typing import Any

import msgspec
from attrs import define, field
from sqlalchemy import text
from twisted.logger import capturedLogs

from difyd.catalog.assets import Assets
from difyd.catalog.contents import Contents
from difyd.catalog.scratch import Scratch
from difyd.catalog.uploads import Uploads
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import BadPackage, BadRequest, InternalError, NotFound, StorageFailed
from difyd.package.errors import BadSignature
from difyd.package.policy import Policy
from difyd.package.signature import Keys
from difyd.package.upload import Gate
from difyd.store.blobs import Blobs
from difyd.store.database import declarations
from difyd.store.database.installations import install_blocking
from difyd.store.database.listings import installed_blocking
from difyd.store.local import LocalObjects
from tests.catalog.house import TENANT, House
from tests.catalog.packages import ICON, KEY, bundle, local, package, signed
from tests.store.inline import inline_threads


@define(eq=False)
class FaultyObjects(LocalObjects):
    """A disk that refuses to write below some keys."""

    refused: set[str] = field(factory=set)

    def _check(self, key: str) -> None:
        if any(key.startswith(prefix) for prefix in self.refused):
            raise StorageFailed(f"{key} cannot be stored: no space left")

    def write_file_blocking(self, key: str, source: Path) -> None:
        self._check(key)
        super().write_file_blocking(key, source)

    def stage_blocking(self, key: str, data: bytes) -> Any:
        self._check(key)
        return super().stage_blocking(key, data)


class UploadHouse(House):
    def setUp(self) -> None:
        super().setUp()
        self.objects = FaultyObjects(self.directory / "storage")
        self.blobs = Blobs(self.objects, inline_threads())
        self.start(self.blobs)
        keys = Keys((KEY.public_key(),))
        self.threads = inline_threads()
        self.start(self.threads)
        self.scratch = Scratch(self.threads, self.directory / "scratch")
        self.start(self.scratch)
        self.contents = Contents(self.threads, self.blobs, self.areas, keys, self.database, self.scratch, 16)
        gate = Gate(keys, Policy(force_verifying_signature=False, enforce_langgenius_plugin_signatures=False), 1_000_000)
        self.uploads = Uploads(self.threads, gate, self.blobs, self.areas, self.database, self.contents, self.installations, self.scratch)
        self.start(self.uploads)

    def file(self, data: bytes) -> Path:
        path = self.directory / "uploaded"
        path.write_bytes(data)
        return path

    def take(self, data: bytes, verify: bool = False) -> dict[str, Any]:
        return msgspec.json.decode(self.got(self.uploads.package(self.file(data), verify)))

    def take_bundle(self, data: bytes) -> list[dict[str, Any]]:
        return msgspec.json.decode(self.got(self.uploads.bundle(self.file(data), False)))

    def stored(self) -> set[str]:
        """The keys of everything in the storage."""
        root = self.directory / "storage"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def leftovers(self) -> list[Path]:
        return list((self.directory / "scratch").iterdir())

    def text_of(self, identifier: str) -> bytes | None:
        return self.got(self.database.read(declarations.get_blocking, PluginIdentifier.parse(identifier)))

    def break_database(self) -> None:
        """No declaration can be written any more, though all can be read."""
        trigger = "CREATE TRIGGER broken BEFORE INSERT ON plugin_declarations BEGIN SELECT RAISE(ABORT, 'no more'); END"
        self.got(self.database.run(lambda transaction: transaction.connection.execute(text(trigger)).close()))


class Packages(UploadHouse):
    def test_stored(self) -> None:
        """The package as it was sent, its icon and its declaration, icons by their ids; nothing is left in the scratch directory."""
        data = package()
        answer = self.take(data)
        icon = answer["manifest"]["icon"]
        identifier = answer["unique_identifier"]
        self.assertEqual(self.stored(), {f"plugin_packages/{identifier}", f"assets/{icon}"})
        self.assertEqual(self.got(self.blobs.read(f"plugin_packages/{identifier}")), data)
        self.assertEqual(self.got(self.blobs.read(f"assets/{icon}")), ICON)
        self.assertEqual(msgspec.json.decode(self.text_of(identifier) or b""), answer["manifest"])
        self.assertIsNone(answer["verification"])
        self.assertEqual(self.leftovers(), [])

    def test_again(self) -> None:
        """The same package again is welcome."""
        self.assertEqual(self.take(package()), self.take(package()))

    def test_refused(self) -> None:
        """Nothing is stored of a package that a rule refuses; the words are the rule's."""
        missing = self.uploads.package(self.file(package(icon="gone.svg")), False)
        self.assertEqual(
            self.refused(missing, BadPackage),
            "file not found: gone.svg\nfailed to remap plugin icon\nfailed to remap assets\nfailed to save package",
        )
        self.refused(self.uploads.package(self.file(b"no zip"), False), BadPackage)
        self.refused(self.uploads.package(self.file(package(author="Acme")), False), BadPackage)
        self.refused(self.uploads.package(self.file(package()), True), BadPackage)
        self.assertEqual(self.stored(), set())

    def test_disk_full(self) -> None:
        """A package that cannot be stored has no declaration either."""
        self.objects.refused.add("plugin_packages")
        why = self.refused(self.uploads.package(self.file(package()), False), BadPackage)
        self.assertTrue(why.endswith("no space left\nfailed to save package"), why)
        self.assertEqual({key.partition("/")[0] for key in self.stored()}, {"assets"})
        self.objects.refused.clear()
        self.assertIsNotNone(self.text_of(self.take(package())["unique_identifier"]))

    def test_database_away(self) -> None:
        """A package whose declaration cannot be written is taken back."""
        self.break_database()
        self.refused(self.uploads.package(self.file(package()), False), BadPackage)
        self.assertEqual({key.partition("/")[0] for key in self.stored()}, {"assets"})

    def test_failure_keeps_what_was_there(self) -> None:
        """But not one that was there before."""
        self.take(package())
        before = self.stored()
        self.objects.refused.add("plugin_packages")
        self.refused(self.uploads.package(self.file(package()), False), BadPackage)
        self.assertEqual(self.stored(), before)

    def test_gone_caller(self) -> None:
        """A caller that hangs up leaves a package that is stored whole."""
        self.begun(self.uploads.package(self.file(package()), False)).addErrback(lambda _: None).cancel()
        self.assertEqual(len(self.stored()), 2)

    def test_signed_copy_is_kept(self) -> None:
        """An unsigned copy does not replace what somebody vouched for."""
        identifier = self.take(signed(package()))["unique_identifier"]
        answer = self.take(package())
        self.assertEqual((answer["unique_identifier"], answer["verification"]), (identifier, None))
        decoded = msgspec.json.decode(self.got(self.contents.decoded(PluginIdentifier.parse(identifier))))
        self.assertEqual(decoded["verification"], {"authorized_category": "langgenius"})

    def test_renamed_entry(self) -> None:
        """A valid signature over entries whose names cannot be those that were signed is told to the operator."""
        category = b'{"authorized_category":"partner"}'
        with capturedLogs() as events:
            self.take(signed(package({"a.json": category})))
            self.assertEqual([event["file"] for event in events if "file" in event], [])
            self.take(signed(package({".verification.dify.json": category, "z": b""})))
        self.assertEqual([event["file"] for event in events if "file" in event], [".verification.dify.json"])

    def test_signed_copy_comes_later(self) -> None:
        """Then the declaration becomes verified, also for those who have it in memory."""
        identifier = PluginIdentifier.parse(self.take(package())["unique_identifier"])
        self.assertFalse(self.got(self.installations.declaration(identifier)).view.verified)
        self.take(signed(package()))
        self.assertTrue(self.got(self.installations.declaration(identifier)).view.verified)

    def test_signed_copy_of_an_installed_one(self) -> None:
        """The installation is verified from then on, in lists too."""
        identifier = PluginIdentifier.parse(self.take(package())["unique_identifier"])
        kept = self.got(self.installations.declaration(identifier))
        self.got(self.database.run(install_blocking, TENANT, identifier, kept, runtime=RuntimeType.LOCAL, source="package"))

        def listed() -> bool:
            (record,) = self.got(self.database.read(installed_blocking, TENANT, 1, 10)).records
            return msgspec.json.decode(record.declaration)["verified"]

        self.assertFalse(listed())
        self.clock.advance(1)
        self.take(signed(package()))
        self.assertTrue(listed())
        self.assertTrue(self.got(self.installations.declaration(identifier)).view.verified)

    def test_damaged_declaration_is_mended(self) -> None:
        """A stored declaration that cannot be read any more is replaced by the next upload."""
        identifier = PluginIdentifier.parse(self.take(package())["unique_identifier"])
        good = self.text_of(str(identifier))
        for broken in ("{", "", "[1]"):
            self.got(self.database.run(declarations.replace_blocking, identifier, broken.encode()))
            self.take(package())
            self.assertEqual(self.text_of(str(identifier)), good)

    def test_damaged_copy_is_mended(self) -> None:
        """A stored package that cannot be read any more is replaced by whatever fits its identifier."""
        identifier = PluginIdentifier.parse(self.take(signed(package()))["unique_identifier"])
        self.got(self.blobs.write(self.areas.package(identifier), b"junk"))
        self.refused(self.contents.decoded(identifier), BadRequest)
        self.take(package())
        self.got(self.contents.decoded(identifier))


class Bundles(UploadHouse):
    def test_items(self) -> None:
        """One item per dependency, in their order; packages are stored, the others only reported."""
        market = {"type": "marketplace", "value": {"marketplace_pattern": "acme/demo:1.0.0"}}
        items = self.take_bundle(bundle(local("b"), market, local("a"), packages={"a": package(name="one"), "b": package(name="two")}))
        self.assertEqual([item["type"] for item in items], ["package", "marketplace", "package"])
        self.assertEqual([items[place]["value"]["manifest"]["name"] for place in (0, 2)], ["two", "one"])
        self.assertEqual(items[1]["value"], {"organization": "acme", "plugin": "demo", "version": "1.0.0"})
        for place in (0, 2):
            self.assertIsNotNone(self.text_of(items[place]["value"]["unique_identifier"]))
        self.assertEqual(self.leftovers(), [])

    def test_nothing(self) -> None:
        """A bundle of nothing is an empty list."""
        self.assertEqual(self.take_bundle(bundle()), [])

    def test_unsigned(self) -> None:
        """Where signatures are demanded, the operator reads which package of a bundle has none."""
        both = bundle(local("a"), local("b"), packages={"a": signed(package(name="one")), "b": package(name="two")})
        with capturedLogs() as events:
            self.refused(self.uploads.bundle(self.file(both), True), BadSignature)
        (told,) = [event for event in events if "reason" in event]
        self.assertEqual((told["identifier"].partition(":")[0], told["reason"]), ("acme/two", "it is not signed"))

    def test_refused(self) -> None:
        """One bad package refuses them all; steps of ours answer as internal errors."""
        good = package(name="one")
        bad = self.uploads.bundle(self.file(bundle(local("a"), local("b"), packages={"a": good, "b": b"junk"})), False)
        self.refused(bad, BadPackage)
        missing = self.uploads.bundle(self.file(bundle(local("a"), local("b"), packages={"a": good})), False)
        self.assertEqual(self.refused(missing, InternalError), "failed to fetch package from bundle\nasset not found")
        self.assertEqual((self.stored(), self.leftovers()), (set(), []))

    def test_all_or_nothing(self) -> None:
        """When the second package cannot be stored, the first one is taken back, unless it was there before."""
        one, two, three = (package(name=name) for name in ("one", "two", "three"))
        kept = self.take(one)["unique_identifier"]
        self.objects.refused.add("plugin_packages/acme/three")
        data = bundle(local("1"), local("2"), local("3"), packages={"1": one, "2": two, "3": three})
        why = self.refused(self.uploads.bundle(self.file(data), False), InternalError)
        self.assertTrue(why.startswith("failed to save package\n"), why)
        self.assertEqual([key for key in self.stored() if not key.startswith("assets")], [f"plugin_packages/{kept}"])
        self.assertEqual(self.leftovers(), [])


class Reading(UploadHouse):
    """What is served from stored packages."""

    UNKNOWN = PluginIdentifier.parse("acme/nobody:1.0.0@" + "0" * 64)

    def uploaded(self, **files: bytes) -> PluginIdentifier:
        names = {name.replace("__", "/").replace("_md", ".md"): data for name, data in files.items()}
        return PluginIdentifier.parse(self.take(package(names))["unique_identifier"])

    def test_decode(self) -> None:
        """The declaration as the package has it: icons are file names."""
        identifier = self.uploaded()
        answer = msgspec.json.decode(self.got(self.contents.decoded(identifier)))
        self.assertEqual((answer["unique_identifier"], answer["manifest"]["icon"]), (str(identifier), "icon.svg"))
        self.assertEqual(self.leftovers(), [])

    def test_decode_unknown(self) -> None:
        """What was never uploaded is a bad request."""
        self.assertEqual(self.refused(self.contents.decoded(self.UNKNOWN), BadRequest), "plugin package not found, please upload it firstly")

    def test_decode_of_another_package(self) -> None:
        """A file under the wrong name is not passed off as what was asked for."""
        identifier = self.uploaded()
        self.got(self.blobs.copy(self.areas.package(identifier), self.areas.package(self.UNKNOWN)))
        self.assertTrue(self.refused(self.contents.decoded(self.UNKNOWN), BadRequest).startswith("plugin unique identifier mismatch"))

    def test_readme(self) -> None:
        """In the language asked for, else in English; the second time without the package."""
        identifier = self.uploaded(readme__README_zh_Hans_md="你好".encode())
        self.assertEqual(self.readme(identifier, "zh_Hans"), ("你好", "zh_Hans"))
        self.assertEqual(self.readme(identifier, "pt_BR"), ("Hello", "en_US"))
        self.got(self.blobs.delete(self.areas.package(identifier)))
        self.assertEqual(self.readme(identifier, ""), ("Hello", "en_US"))

    def readme(self, identifier: PluginIdentifier, language: str) -> tuple[str, str]:
        answer = msgspec.json.decode(self.got(self.contents.readme(identifier, language)))
        return answer["content"], answer["language"]

    def test_no_readme(self) -> None:
        """The words say what is missing."""
        identifier = PluginIdentifier.parse(self.take(package({"README.md": None}))["unique_identifier"])
        self.assertEqual(
            self.refused(self.contents.readme(identifier, "en_US"), InternalError),
            "failed to get readme from database: open README.md: file does not exist\nen_US readme not found",
        )
        self.assertEqual(
            self.refused(self.contents.readme(self.UNKNOWN, "en_US"), InternalError),
            "failed to get readme from database: plugin package not found, please upload it firstly",
        )

    def test_file(self) -> None:
        """A file below `_assets`, and nothing else; then from memory, which knows what is missing, too."""
        identifier = self.uploaded(_assets__deep__x=b"deep")
        self.assertEqual(self.got(self.contents.file(identifier, "deep/x")), b"deep")
        for path in ("gone", "../manifest.yaml", "_assets/icon.svg", "/icon.svg", "deep", ""):
            self.refused(self.contents.file(identifier, path), NotFound)
        self.got(self.blobs.delete(self.areas.package(identifier)))
        self.assertEqual(self.got(self.contents.file(identifier, "deep/x")), b"deep")
        self.refused(self.contents.file(identifier, "gone"), NotFound)
        self.refused(self.contents.file(identifier, "icon.svg"), InternalError)

    def test_icon(self) -> None:
        """By its id; then from memory."""
        icon = self.take(package())["manifest"]["icon"]
        assets = Assets(self.blobs, self.areas, 16)
        self.assertEqual(self.got(assets.icon(icon)), ICON)
        self.got(self.blobs.delete(self.areas.asset(icon)))
        self.assertEqual(self.got(assets.icon(icon)), ICON)

    def test_no_icon(self) -> None:
        """What is no id, or leads elsewhere, is not found."""
        identifier = self.uploaded()
        assets = Assets(self.blobs, self.areas, 16)
        known = "0" * 64
        for asset in (known, f"{known}.svg", f"{known}." + "x" * 200, f"{known}/../x", "..", "", f"../plugin_packages/{identifier}", ".\0"):
            self.refused(assets.icon(asset), NotFound)
