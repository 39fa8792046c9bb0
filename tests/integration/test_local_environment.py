"""Environments that are really built (local-runtime 3, 4, 14.8, 14.13, 14.14)."""

import base64
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from shutil import rmtree
from signal import SIGKILL

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutput

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import InternalError, LaunchFailed
from difyd.runtime.local.interpreter import InterpreterFinder
from difyd.runtime.local.uv import find_uv
from tests.integration.local_house import TALKER, TENANT, LocalTestCase, Told, call, gone

OFFLINE = "--no-index\n--find-links=./wheels/\ngrapes==1.0\n"
PROJECT = """
[project]
name = "own"
version = "1.0"
requires-python = ">=3.12"
dependencies = ["grapes==1.0"]

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[tool.uv]
no-index = true
find-links = ["./wheels"]
"""
BACKEND = """
import os, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    files = {
        "own.pth": os.path.join(os.getcwd(), "src"),
        "own-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: own\\nVersion: 1.0\\nRequires-Dist: grapes==1.0\\n",
        "own-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(os.path.join(directory, "own-1.0-py3-none-any.whl"), "w") as archive:
        for name, text in {**files, "own-1.0.dist-info/RECORD": "".join(f"{name},,\\n" for name in files)}.items():
            archive.writestr(name, text)
    return "own-1.0-py3-none-any.whl"
"""
OWN = "import grapes, own\n"
SLOW_UV = """#!/bin/sh
# Stands for an installer that hangs: makes the environment with the real one, then says what it is and sleeps.
if [ "$1" = venv ]; then exec "{uv}" "$@"; fi
echo $$ > "{note}"
{says}
sleep 60 &
wait
"""


def wheel() -> tuple[str, bytes]:
    """A package `grapes` with a module and a script."""
    info = "grapes-1.0.dist-info"
    files = {
        "grapes.py": "COLOUR = 'blue'\ndef main():\n    print(COLOUR)\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: grapes\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ngrapes = grapes:main\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        record = ""
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return "grapes-1.0-py3-none-any.whl", out.getvalue()


def with_grapes() -> dict[str, str | bytes | None]:
    name, content = wheel()
    return {f"wheels/{name}": content, "requirements.txt": OFFLINE, "main.py": "import grapes\n" + TALKER}


def _read(file: Path) -> str:
    return file.read_text()


class EnvironmentCase(LocalTestCase):
    timeout = 120

    def place(self, identifier: PluginIdentifier) -> Path:
        return self.root / identifier.directory

    async def fails(self, identifier: PluginIdentifier, told: Told | None = None) -> str:
        with self.assertRaises(LaunchFailed) as why:
            await self.supervisor.launch(identifier, told or Told())
        return str(why.exception)

    def nothing_half_made(self) -> bool:
        return not any((self.root / ".building").rglob("plugin"))


class Builds(EnvironmentCase):
    async def test_offline(self) -> None:
        """A package that ships its wheels is installed without any index, compiled, marked, and moved to its place, where its scripts work."""
        identifier = self.packages.add("offline", with_grapes())
        told = Told()
        await self.supervisor.launch(identifier, told)
        place = self.place(identifier)
        self.assertTrue(any(line.startswith("Installed 1 package") for line in told.lines), told.lines)
        self.assertEqual(await getProcessOutput(str(place / ".venv/bin/grapes"), reactor=reactor), b"blue\n")
        marker = json.loads(_read(place / ".venv/dify/plugin.json"))
        self.assertEqual((marker["python"], marker["checksum"]), ("3.12", identifier.checksum))
        self.assertTrue(list(place.glob(".venv/lib/python3.12/site-packages/__pycache__/grapes.*.pyc")))
        self.assertTrue(list(place.glob("__pycache__/main.*.pyc")))
        self.assertTrue(self.nothing_half_made())
        runtime = await self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)
        self.assertEqual(await call(runtime, ["tell", "[grapes.COLOUR, sys.prefix]"]), [["blue", str(place / ".venv")]])

    async def test_plain(self) -> None:
        """A plugin without dependencies is built in silence: who waits hears only what is news."""
        told = Told()
        await self.supervisor.launch(self.packages.add("plain"), told)
        self.assertEqual(told.lines, [])

    async def test_project(self) -> None:
        """A project that is a package itself, and installed as a link to its files, works in its place, not in the one where it was built."""
        name, content = wheel()
        identifier = self.packages.add(
            "project",
            {
                f"wheels/{name}": content,
                "pyproject.toml": PROJECT,
                "backend.py": BACKEND,
                "src/own.py": "WORD = 'own'\n",
                "main.py": OWN + TALKER,
            },
        )
        runtime = await self.up(identifier)
        place = self.place(identifier)
        self.assertEqual(await call(runtime, ["tell", "[grapes.COLOUR, own.__file__]"]), [["blue", f"{place}/src/own.py"]])

    async def test_second_launch(self) -> None:
        """A prepared directory is taken as it is: nothing is installed again."""
        identifier = self.packages.add("again", with_grapes())
        await self.supervisor.launch(identifier, Told())
        inode = self.place(identifier).stat().st_ino
        await self.unmake()
        self.packages.held[identifier] = b"no package at all"
        self.make()
        await self.supervisor.launch(identifier, Told())
        self.assertEqual(self.place(identifier).stat().st_ino, inode)

    async def test_rebuilt(self) -> None:
        """A directory whose environment is not finished, or whose Python is gone, is made again, whatever is in it."""
        identifier = self.packages.add("broken")
        for spoil in (".venv/dify/plugin.json", ".venv/bin/python"):
            await self.supervisor.launch(identifier, Told())
            await self.unmake()
            (self.place(identifier) / spoil).unlink()
            (self.place(identifier) / "main.py").unlink()
            self.make()
            await self.supervisor.launch(identifier, Told())
            self.assertTrue((self.place(identifier) / spoil).exists())

    async def test_deleted_while_it_ran(self) -> None:
        """A working directory that somebody has deleted is made anew before the next process starts."""
        identifier = self.packages.add("deleted")
        runtime = await self.up(identifier)
        (pid,) = await call(runtime, ["tell", "os.getpid()"])
        rmtree(self.place(identifier))
        os.kill(pid, SIGKILL)
        await gone(pid)
        runtime = await self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)
        self.assertEqual(await call(runtime, ["say", "here"]), ["here"])

    async def test_swept(self) -> None:
        """What a killed daemon was building is swept at the start, and taken for nothing."""
        left = self.root / ".building" / "999999999-1" / "abc" / "plugin"
        left.mkdir(parents=True)
        await self.unmake()
        self.make()
        while left.exists():
            await deferLater(reactor, 0.01)


class Failures(EnvironmentCase):
    async def test_unresolvable(self) -> None:
        """The text says in one sentence what is missing; the installer's words are kept beside the directory; a repaired package works."""
        identifier = self.packages.add("missing", {"requirements.txt": "--no-index\nno-such-grapes==1.0\n"})
        text = await self.fails(identifier)
        frame = "failed to launch plugin: failed to install dependencies: failed to install dependencies: exit status 1, output: "
        self.assertTrue(text.startswith(frame), text)
        self.assertIn("Because no-such-grapes was not found", text)
        self.assertEqual(text.count("\n"), 1)
        log = Path(f"{self.place(identifier)}.log")
        self.assertIn("no-such-grapes", _read(log))
        self.assertFalse(self.place(identifier).exists())
        self.assertTrue(self.nothing_half_made())
        self.packages.add("missing")
        await self.supervisor.launch(identifier, Told())
        self.assertNotIn(log.name, os.listdir(log.parent))

    async def test_no_dependency_file(self) -> None:
        """A package with neither file says so."""
        text = await self.fails(self.packages.add("none", {"requirements.txt": None}))
        self.assertIn("neither pyproject.toml nor requirements.txt found in plugin directory", text)

    async def test_not_a_package(self) -> None:
        """A package that cannot be read fails the launch with its cause."""
        identifier = self.packages.add("bad")
        self.packages.held[identifier] = b"no zip"
        self.assertTrue((await self.fails(identifier)).endswith("failed to get local plugin runtime\nfailed to init environment"))


class Unwritable(EnvironmentCase):
    """A working path that is of no use; a file in the way stands for a disk that is full, or may only be read."""

    async def test_refused_start(self) -> None:
        """The daemon does not start, and names the path and the setting; where it can write it leaves nothing."""
        await self.working_path.startService()
        self.assertEqual(os.listdir(next((self.root / ".building").iterdir())), [])
        self.block(".building")
        with self.assertRaises(InternalError) as why:
            await self.working_path.startService()
        self.assertIn(f"the working path {self.root} (PLUGIN_WORKING_PATH) cannot be used", str(why.exception))

    async def test_build(self) -> None:
        """An install says what the system says; with room again it succeeds."""
        identifier = self.packages.add("plain")
        file = self.block(".building")
        self.assertIn(f"the working directory cannot be made: [Errno 20] Not a directory: '{file}", await self.fails(identifier))
        file.unlink()
        await self.supervisor.launch(identifier, Told())

    async def test_removal(self) -> None:
        """What cannot be deleted stays."""
        identifier = self.add("stays")
        self.block(".removed")
        await self.local.environments.remove(identifier)
        self.assertTrue(self.place(identifier).exists())

    def block(self, name: str) -> Path:
        """A file where a directory should be."""
        file = self.root / name
        rmtree(file, ignore_errors=True)
        file.write_text("")
        return file


class HangingCase(EnvironmentCase):
    """uv is one that hangs."""

    says = 'echo "Downloading grapes (1.0MiB)" >&2'

    def setUp(self) -> None:
        super().setUp()
        self.note = self.root / "note"

    def make(self) -> None:
        slow = self.root / "slow-uv"
        slow.write_text(SLOW_UV.format(uv=find_uv(""), note=self.root / "note", says=self.says))
        slow.chmod(0o755)
        self.uv = str(slow)
        super().make()


class Quiet(HangingCase):
    silence, quiet, says = 1.0, 0.1, ""

    async def test_no_news(self) -> None:
        """Who waits is told what for, when the installer has nothing to tell."""
        told = Told()
        await self.fails(self.packages.add("hangs"), told)
        self.assertEqual(told.lines, ["installing what requirements.txt asks for"])


class Silent(HangingCase):
    silence, quiet = 1.0, 0.5

    async def test_silence(self) -> None:
        """An installer that says nothing is ended with its children; the text names the seconds."""
        told = Told()
        text = await self.fails(self.packages.add("hangs"), told)
        self.assertIn("signal: 9", text)
        self.assertIn("init process exited due to no activity for 1 seconds", text)
        self.assertEqual(told.lines, ["Downloading grapes (1.0MiB)"])
        await gone(int(_read(self.note)))
        self.assertTrue(self.nothing_half_made())


class Abandoned(HangingCase):
    silence = 60.0

    async def test_cancelled(self) -> None:
        """When nobody waits for a build any more it is killed, and nothing of it is left."""
        launch = Deferred.fromCoroutine(self.supervisor.launch(self.packages.add("hangs"), Told()))
        launch.addErrback(lambda failure: None)
        while not (self.note.exists() and _read(self.note)):
            await deferLater(reactor, 0.05)
        launch.cancel()
        await gone(int(_read(self.note)))
        while self.supervisor.launching:
            await deferLater(reactor, 0.01)
        self.assertTrue(self.nothing_half_made())


class Finder(LocalTestCase):
    """The interpreter of plugins."""

    def finder(self, wanted: str, **environment: str) -> InterpreterFinder:
        return InterpreterFinder(self.local.children, reactor, {"PATH": "", "HOME": str(self.root), **environment}, wanted)

    def program(self, folder: str, name: str, source: str) -> str:
        file = self.root / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{source}\n")
        file.chmod(0o755)
        return str(file)

    async def test_really_tried(self) -> None:
        """What only looks like the interpreter is passed over: a shim that answers 127, another version under the name."""
        self.program("shims", "python3.12", "echo 'command not found' >&2; exit 127")
        self.program("wrong", "python3.12", "echo /x; echo 3.11.7")
        self.program("pyenv/versions/3.12.4/bin", "python3.12", "echo /old; echo 3.12.4")
        self.program("pyenv/versions/3.12.10/bin", "python3.12", "echo /new; echo 3.12.10")
        path = os.pathsep.join(str(self.root / folder) for folder in ("shims", "wrong", "nowhere"))
        search = await self.finder("3.12", PATH=path, PYENV_ROOT=str(self.root / "pyenv")).search()
        assert search.found is not None
        self.assertEqual((search.found.path, search.found.version), ("/new", "3.12.10"))

    async def test_nothing(self) -> None:
        """A search in vain tells everything that it looked at, and why it was not that."""
        shim = self.program("shims", "python3.12", "echo 'not one\nswitched on' >&2; exit 127")
        wrong = self.program("shims", "python3", "echo /x; echo 3.11.7")
        search = await self.finder("3.12", PATH=str(self.root / "shims")).search()
        self.assertIsNone(search.found)
        self.assertEqual(search.looked_at, (f"{shim} (exited with code 127: switched on)", f"{wrong} (is 3.11.7)"))

    async def test_path(self) -> None:
        """A path is taken whatever version it is, when it is a Python at all."""
        good = self.program("own", "mypython", "echo /own; echo 3.13.0")
        search = await self.finder(good).search()
        assert search.found is not None
        self.assertEqual(search.found.version, "3.13.0")
        self.assertIsNone((await self.finder(str(self.root / "nowhere")).search()).found)

    async def test_exact(self) -> None:
        """A version with three numbers is that one; 3.1 is not 3.12."""
        self.program("bin", "python3.12", "echo /x; echo 3.12.4")
        for wanted, found in (("3.12.4", True), ("3.12.5", False), ("3.1", False)):
            search = await self.finder(wanted, PATH=str(self.root / "bin")).search()
            self.assertEqual(search.found is not None, found)
