"""Where plugins live, and when an environment counts."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.local.owner import Owner
from difyd.runtime.local.places import Places, is_valid_blocking, mark_blocking, relocate_blocking

CHECKSUM = "ab" * 32


class PlacesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="difyd-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.places = Places(self.root, Owner.this(self.root))
        self.identifier = PluginIdentifier.parse(f"acme/weather:1.0.0@{CHECKSUM}")

    def environment(self, directory: Path) -> Path:
        """The outside of a finished environment."""
        (directory / ".venv" / "bin").mkdir(parents=True)
        (directory / ".venv" / "bin" / "python").symlink_to("/bin/sh")
        mark_blocking(directory, {"python": "3.12"})
        return directory


class Naming(PlacesCase):
    def test_directories(self) -> None:
        """local-runtime 3.1: the names that the reference uses, with and without an author."""
        self.assertEqual(self.places.directory(self.identifier), self.root / "acme" / f"weather-1.0.0@{CHECKSUM}")
        self.assertEqual(self.places.directory(PluginIdentifier.parse(f"a:1.0@{CHECKSUM}")), self.root / f"a-1.0@{CHECKSUM}")

    def test_absolute(self) -> None:
        """local-runtime 14.14: a relative working path is made absolute."""
        self.assertEqual(Places(Path("cwd"), Owner.this(self.root)).root, Path.cwd() / "cwd")


class Validity(PlacesCase):
    def test_finished(self) -> None:
        """local-runtime 4.3: interpreter and marker; the marker is the reference's, with facts for people."""
        self.assertTrue(is_valid_blocking(self.environment(self.root / "p")))
        marker = (self.root / "p" / ".venv" / "dify" / "plugin.json").read_text()
        self.assertTrue(marker.startswith('{"timestamp":1'))
        self.assertEqual(json.loads(marker)["python"], "3.12")

    def test_unfinished(self) -> None:
        """Without marker, without interpreter, with one that leads nowhere, or without anything it is none."""
        for broken in (".venv/dify/plugin.json", ".venv/bin/python"):
            directory = self.environment(self.root / broken.replace("/", "_"))
            (directory / broken).unlink()
            self.assertFalse(is_valid_blocking(directory))
        dangling = self.environment(self.root / "dangling")
        (dangling / ".venv" / "bin" / "python").unlink()
        (dangling / ".venv" / "bin" / "python").symlink_to("/no/such/python")
        self.assertFalse(is_valid_blocking(dangling))
        self.assertFalse(is_valid_blocking(self.root / "nowhere"))


class Moving(PlacesCase):
    def test_put_in_place(self) -> None:
        """A directory comes to its place as a whole, instead of what was there; the log of a failed build goes."""
        old = self.places.directory(self.identifier)
        old.mkdir(parents=True)
        (old / "half").touch()
        self.places.log(self.identifier).write_text("it failed")
        built = self.places.scratch_blocking() / "plugin"
        built.mkdir()
        (built / "whole").touch()
        self.places.put_in_place_blocking(built, self.identifier)
        self.assertEqual(os.listdir(old), ["whole"])
        self.assertEqual(os.listdir(self.root / "acme"), [old.name])

    def test_take_away(self) -> None:
        """A directory that is taken away is gone at once; there need not be one."""
        place = self.places.directory(self.identifier)
        place.mkdir(parents=True)
        away = self.places.take_away_blocking(self.identifier)
        assert away is not None
        self.assertEqual((place.exists(), away.exists()), (False, True))
        self.assertIsNone(self.places.take_away_blocking(self.identifier))

    def test_sweep(self) -> None:
        """What dead daemons have left half-made or half-deleted goes; what we are making stays."""
        mine = self.places.scratch_blocking()
        dead = self.places.building / "999999999-1" / "x"
        dead.mkdir(parents=True)
        self.places.removed.mkdir()
        (self.places.removed / "y").mkdir()
        self.places.sweep_blocking()
        self.assertEqual((mine.exists(), dead.exists(), os.listdir(self.places.removed)), (True, False, []))

    def test_left_over(self) -> None:
        """Old directories and logs of plugins that nobody names are left over; young ones, links and whatever else lies there are not."""
        names = [f"acme/{name}-1.0@{CHECKSUM}" for name in ("named", "young", "old")] + [f"alone-1.0@{CHECKSUM}"]
        for name in (*names, ".uv-cache/archive-v0", "acme/notes", "acme/logged-1.0"):
            self.environment(self.root / name)
        log = self.root / "acme" / f"failed-1.0@{CHECKSUM}.log"
        log.write_text("no grapes")
        (self.root / "acme" / f"link-1.0@{CHECKSUM}").symlink_to(self.root / names[0])
        for path in self.root.rglob("*"):
            if names[1] not in str(path):
                os.utime(path, (1000, 1000), follow_symlinks=False)
        named = [PluginIdentifier.parse(f"acme/named:1.0@{CHECKSUM}")]
        found = self.places.left_over_blocking(named, 1001)
        self.assertEqual({str(one) for one in found}, {f"acme/{name}:1.0@{CHECKSUM}" for name in ("old", "failed")} | {f"alone:1.0@{CHECKSUM}"})
        self.assertEqual(self.places.left_over_blocking(named, 1000), [])

    def test_relocation(self) -> None:
        """Scripts and editable links of a moved environment name its new place; files shared with a cache are not written into."""
        built, place = self.root / ".building" / "x" / "plugin", self.root / "acme" / "w"
        packages = built / ".venv" / "lib" / "python3.12" / "site-packages"
        packages.mkdir(parents=True)
        (built / ".venv" / "bin").mkdir()
        script = built / ".venv" / "bin" / "tool"
        script.write_text(f"#!{built}/.venv/bin/python\nprint()\n")
        script.chmod(0o755)
        cached = self.root / "cached"
        cached.write_text(f"{built}/src")
        os.link(cached, packages / "__editable__.pth")
        (packages / "module.py").write_text(f"PLACE = '{built}'")
        relocate_blocking(built, place)
        self.assertEqual(script.read_text(), f"#!{place}/.venv/bin/python\nprint()\n")
        self.assertEqual(script.stat().st_mode & 0o777, 0o755)
        self.assertEqual((packages / "__editable__.pth").read_text(), f"{place}/src")
        self.assertEqual((cached.read_text(), (packages / "module.py").read_text()), (f"{built}/src", f"PLACE = '{built}'"))


class Ownership(PlacesCase):
    def test_mark(self) -> None:
        """A mark tells a daemon that lives from one that is gone, also when its number belongs to another process by now."""
        owner = Owner.this(self.root)
        self.assertEqual(Owner.parse(owner.mark), owner)
        self.assertTrue(owner.lives_blocking())
        self.assertFalse(Owner(owner.pid, owner.started - 1000, owner.root).lives_blocking())
        self.assertFalse(Owner(999999999, owner.started, owner.root).lives_blocking())

    def test_no_mark(self) -> None:
        """What is no mark is none."""
        for text in ("", "1", "1:2", "1:2:", "x:2:/root", "1::/root"):
            self.assertIsNone(Owner.parse(text))
