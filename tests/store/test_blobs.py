"""Blobs: what every place for them promises, and what the local one does on the disk."""

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.errors import StorageFailed
from difyd.store.blobs import BadKey, BlobMissing, Blobs, Counted, IBlobs, IObjects, IStaged, UnfitKey, check_key
from difyd.store.local import LocalObjects
from difyd.telemetry.metrics import NoMetrics
from tests.store.inline import inline_threads

PACKAGE = "plugin_packages/acme/weather:1.2.0@8f4b"


class BlobsContract:
    """`make_objects` gives an empty place; each subclass, also a TestCase, makes its own."""

    def setUp(self) -> None:
        self.objects = self.make_objects()
        self.blobs = Blobs(self.objects, inline_threads())
        self.now(self.blobs.startService())
        self.addCleanup(self.blobs.stopService)
        self.files = Path(self.mktemp())
        self.files.mkdir()

    def now(self, work):
        return self.successResultOf(work if isinstance(work, Deferred) else Deferred.fromCoroutine(work))

    def fails(self, kind, coroutine):
        return self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value

    def test_interface(self) -> None:
        """It provides what it says."""
        verifyObject(IBlobs, self.blobs)
        verifyObject(IObjects, self.objects)
        verifyObject(IStaged, self.objects.stage_blocking("a", b""))

    def test_round_trip(self) -> None:
        """What was written is read, byte for byte, also nothing; the later write wins."""
        self.now(self.blobs.write(PACKAGE, b"\0old"))
        self.now(self.blobs.write(PACKAGE, b"new\xff"))
        self.now(self.blobs.write("assets/empty", b""))
        self.assertEqual(self.now(self.blobs.read(PACKAGE)), b"new\xff")
        self.assertEqual(self.now(self.blobs.read("assets/empty")), b"")

    def test_counted(self) -> None:
        """Operations are counted by name, kind of place and outcome, with the time that the caller waited."""
        told = []

        class Metrics(NoMetrics):
            def stored(self, operation: str, storage_type: str):
                class Once:
                    def ended(self, status: str, seconds: float) -> None:
                        told.append((operation, storage_type, status, seconds))

                return Once()

        blobs = Blobs(self.objects, inline_threads(), Counted("local", Metrics(), iter(range(0, 100, 2)).__next__))
        self.now(blobs.startService())
        self.addCleanup(blobs.stopService)
        self.now(blobs.write("a", b"1"))
        self.now(blobs.exists("a"))
        self.fails(BlobMissing, blobs.read("b"))
        self.fails(BadKey, blobs.read("../b"))
        self.fails(StorageFailed, blobs.write_file("c", self.files / "nothing"))
        statuses = ("write", "success"), ("size", "success"), ("read", "missing"), ("read", "refused"), ("write_file", "error")
        self.assertEqual(told, [(operation, "local", status, 2) for operation, status in statuses])

    def test_missing(self) -> None:
        """Nothing there: reading says so, asking says no, deleting has nothing to do."""
        for attempt in (self.blobs.read("a/b"), self.blobs.fetch("a/b", self.files / "x"), self.blobs.copy("a/b", "c")):
            self.fails(BlobMissing, attempt)
        self.assertFalse(self.now(self.blobs.exists("a/b")))
        self.assertIsNone(self.now(self.blobs.size("a/b")))
        self.assertFalse(self.now(self.blobs.delete("a/b")))
        self.assertEqual(self.now(self.blobs.list("a")), [])
        self.assertFalse((self.files / "x").exists())

    def test_below_a_blob(self) -> None:
        """A key below another blob's is missing, not an error of the store."""
        self.now(self.blobs.write("a", b"1"))
        self.fails(BlobMissing, self.blobs.read("a/b"))
        self.assertFalse(self.now(self.blobs.exists("a/b")))
        self.assertFalse(self.now(self.blobs.delete("a/b")))

    def test_directory(self) -> None:
        """What is only a prefix of keys is no blob."""
        self.now(self.blobs.write("a/b", b"1"))
        self.assertFalse(self.now(self.blobs.exists("a")))
        self.assertFalse(self.now(self.blobs.delete("a")))
        self.fails(BlobMissing, self.blobs.read("a"))
        self.assertEqual(self.now(self.blobs.read("a/b")), b"1")

    def test_size(self) -> None:
        """Its bytes."""
        self.now(self.blobs.write(PACKAGE, b"12345"))
        self.assertTrue(self.now(self.blobs.exists(PACKAGE)))
        self.assertEqual(self.now(self.blobs.size(PACKAGE)), 5)

    def test_delete(self) -> None:
        """Once deleted it is gone; its neighbours are not."""
        self.now(self.blobs.write("a/b", b"1"))
        self.now(self.blobs.write("a/c", b"2"))
        self.assertTrue(self.now(self.blobs.delete("a/b")))
        self.assertEqual(self.now(self.blobs.list("a")), ["c"])

    def test_files(self) -> None:
        """From a file and to a file, which may be there already."""
        source, target = self.files / "source", self.files / "target"
        source.write_bytes(b"package")
        target.write_bytes(b"something longer than that")
        self.now(self.blobs.write_file(PACKAGE, source))
        self.now(self.blobs.fetch(PACKAGE, target))
        self.assertEqual((source.read_bytes(), target.read_bytes()), (b"package", b"package"))
        self.assertEqual(sorted(path.name for path in self.files.iterdir()), ["source", "target"])

    def test_no_source(self) -> None:
        """A file that cannot be read fails the write and leaves the blob as it was."""
        self.now(self.blobs.write(PACKAGE, b"old"))
        self.fails(StorageFailed, self.blobs.write_file(PACKAGE, self.files / "missing"))
        self.assertEqual(self.now(self.blobs.read(PACKAGE)), b"old")

    def test_copy(self) -> None:
        """The copy lives on its own."""
        self.now(self.blobs.write(PACKAGE, b"1"))
        self.now(self.blobs.copy(PACKAGE, "plugin/acme/weather:1.2.0@8f4b"))
        self.now(self.blobs.write(PACKAGE, b"2"))
        self.assertEqual(self.now(self.blobs.read("plugin/acme/weather:1.2.0@8f4b")), b"1")

    def test_list(self) -> None:
        """All keys below a prefix, relative to it, sorted; hidden names are left out with all that is below them."""
        for key in ("plugin/b/y:1@2", "plugin/a/x:1@2", "plugin/z", "plugin/.hidden", "plugin/.git/x", "plugins/other"):
            self.now(self.blobs.write(key, b""))
        self.assertEqual(self.now(self.blobs.list("plugin")), ["a/x:1@2", "b/y:1@2", "z"])

    def test_outside(self) -> None:
        """No operation follows a key out of the store."""
        for key in ("", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\\b", "a\0b", "a/\ud800", ".difyd.lock", "a/.difyd-1"):
            for attempt in (
                self.blobs.read(key),
                self.blobs.write(key, b""),
                self.blobs.write_file(key, self.files),
                self.blobs.fetch(key, self.files / "x"),
                self.blobs.copy(key, "a"),
                self.blobs.copy("a", key),
                self.blobs.exists(key),
                self.blobs.size(key),
                self.blobs.delete(key),
                self.blobs.list(key),
            ):
                self.fails(BadKey, attempt)

    def test_staged(self) -> None:
        """A staged value changes nothing until it is committed, and never when it is discarded."""
        self.now(self.blobs.write("a/b", b"old"))
        first, second = self.objects.stage_blocking("a/b", b"first"), self.objects.stage_blocking("a/b", b"second")
        self.assertEqual(self.now(self.blobs.read("a/b")), b"old")
        first.discard_blocking()
        second.commit_blocking()
        self.assertEqual(self.now(self.blobs.read("a/b")), b"second")
        self.objects.stage_blocking("a/b", b"third").commit_blocking(lasting=False)
        self.assertEqual(self.now(self.blobs.read("a/b")), b"third")
        self.assertEqual(self.now(self.blobs.list("a")), ["b"])


class LocalBlobsTests(BlobsContract, SynchronousTestCase):
    def make_objects(self) -> LocalObjects:
        self.root = Path(self.mktemp())
        return LocalObjects(self.root, ("plugin", "plugin_packages"))

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def test_layout(self) -> None:
        """Keys are relative paths to the letter, as the reference lays them out; files and directories have its modes."""
        self.now(self.blobs.write(PACKAGE, b"1"))
        self.assertEqual(self.everything(), [PACKAGE])
        self.assertEqual((self.root / PACKAGE).stat().st_mode & 0o777, 0o644)
        self.assertEqual((self.root / PACKAGE).parent.stat().st_mode & 0o777, 0o755)

    def test_killed(self) -> None:
        """What a killed daemon left half-written is no blob, and the next start clears it away; it touches nothing else."""
        self.objects.stage_blocking(PACKAGE, b"half")  # and then the power fails
        self.objects.stage_blocking("in/no/area", b"half")
        self.now(self.blobs.write("plugin/.kept", b""))
        self.assertEqual(self.now(self.blobs.list("plugin_packages")), [])
        self.assertEqual(len(self.everything()), 3)
        LocalObjects(self.root, ("plugin", "plugin_packages")).open_blocking()
        self.assertEqual(self.everything(), ["plugin/.kept"])

    def test_areas_hold_blobs_only(self) -> None:
        """Who looks into an area of the store, the reference or an operator, finds the blobs and nothing else."""
        self.now(self.blobs.write(PACKAGE, b"1"))
        self.assertEqual(os.listdir(self.root / "plugin_packages"), ["acme"])

    def test_area_on_a_file_system_of_its_own(self) -> None:
        """There a file is written on the same file system, since it cannot be renamed across."""
        mounted = {self.root: 1, self.root / "plugin_packages": 2}
        objects = LocalObjects(self.root, ("plugin", "plugin_packages"), lambda directory: mounted.get(Path(directory)))
        objects.open_blocking()
        objects.stage_blocking(PACKAGE, b"half")
        objects.stage_blocking("plugin/a", b"half")
        self.assertEqual([name.rpartition("/")[0] for name in self.everything()], [".difyd-staging", "plugin_packages/.difyd-staging"])

    def test_nothing_half_written(self) -> None:
        """No operation leaves anything but blobs behind, also when it fails."""
        (self.files / "source").write_bytes(b"1")
        self.now(self.blobs.write("a/b", b"1"))
        self.now(self.blobs.write_file("a/c", self.files / "source"))
        self.fails(StorageFailed, self.blobs.write_file("a/d", self.files / "missing"))
        self.fails(StorageFailed, self.blobs.write("a/b/c", b"below a file"))
        self.fails(StorageFailed, self.blobs.write("a", b"over a directory"))
        self.fails(StorageFailed, self.blobs.write("a/" + "x" * 300, b"too long a name"))
        self.fails(BlobMissing, self.blobs.fetch("a/e", self.files / "target"))
        self.assertEqual(self.everything(), ["a/b", "a/c"])
        self.assertEqual([path.name for path in self.files.iterdir()], ["source"])

    def test_cannot_ask(self) -> None:
        """A place that does not answer has not said "no"."""
        (self.root / "loop").symlink_to("loop")
        self.fails(StorageFailed, self.blobs.exists("loop"))

    def test_long_names(self) -> None:
        """Under a name that no file can have there is nothing, and to put something there is the fault of the name."""
        name = "a/" + "x" * 300
        self.assertFalse(self.now(self.blobs.exists(name)))
        self.assertFalse(self.now(self.blobs.delete(name)))
        self.fails(BlobMissing, self.blobs.read(name))
        self.fails(UnfitKey, self.blobs.write(name, b""))

    def test_empty_directories(self) -> None:
        """What deleted keys leave behind does not stand in the way of a shorter one."""
        for key in ("a/b/c", "a/d"):
            self.now(self.blobs.write(key, b""))
        self.now(self.blobs.delete("a/b/c"))
        self.fails(UnfitKey, self.blobs.write("a", b"over a value"))
        self.now(self.blobs.delete("a/d"))
        self.now(self.blobs.write("a", b"1"))
        self.assertEqual(self.everything(), ["a"])

    def test_unusable(self) -> None:
        """A root that cannot be made fails the start with the directory's name."""
        file = self.files / "file"
        file.write_bytes(b"")
        objects = LocalObjects(file / "below")
        self.assertIn(str(file), str(self.assertRaises(StorageFailed, objects.open_blocking)))


class KeyTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(st.text(alphabet="ab./\\\0:@~", max_size=12))
    def test_stays_inside(self, key: str) -> None:
        """A key that is accepted names a path below the root, and exactly one."""
        try:
            check_key(key)
        except BadKey:
            return
        path = Path("/root") / key
        self.assertEqual(str(path.resolve()), f"/root/{key}")
