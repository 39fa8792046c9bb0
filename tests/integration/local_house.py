"""Real plugins on a real reactor: small packages without an SDK, and everything that runs them."""

import io
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import PluginInvokeError, PluginNotFound
from difyd.runtime.assembly import LocalSettings, assemble
from difyd.runtime.hooks import Event, Hooks
from difyd.runtime.interfaces import IChannel, IPackages, IPluginRuntime, IProgress, ISession
from difyd.runtime.local.environment import BuildSettings
from difyd.runtime.local.instance import Limits
from difyd.runtime.local.uv import Installer, find_uv
from difyd.runtime.supervisor import Patience, Supervisor
from difyd.store.threads import Threads

TENANT = "6f1c2d0a-0000-4000-8000-000000000001"

TALKER = '''
"""Answers every request by the steps in its data: [["say", text], ["sleep", seconds], ["exit", status], ["tell", expression], ...]."""
import json, os, signal, subprocess, sys, threading, time

def line(**members):
    sys.stdout.write(json.dumps(members) + "\\n\\n")
    sys.stdout.flush()

def message(session, kind, data):
    line(event="session", session_id=session, data={"type": kind, "data": data})

def play(session, steps):
    for verb, value in steps:
        if verb == "say":
            message(session, "stream", value)
        elif verb == "sleep":
            time.sleep(value)
        elif verb == "exit":
            os._exit(value)
        elif verb == "complain":
            sys.stderr.write(value + "\\n")
            sys.stderr.flush()
        elif verb == "tell":
            message(session, "stream", eval(value))
        elif verb == "half":
            sys.stdout.write(json.dumps({"event": "session", "session_id": session, "data": {"type": "end", "data": {}}}))
            sys.stdout.flush()
            os._exit(value)
        elif verb == "spawn":
            subprocess.Popen(["sleep", str(value)], start_new_session=False)
        elif verb == "escape":
            subprocess.Popen(["sleep", str(value)], start_new_session=True)
        elif verb == "shut":
            sys.stdout.flush()
            os.close(value)
    message(session, "end", {})

def beat():
    while True:
        line(event="heartbeat", session_id=None, data={})
        time.sleep(1)

def main():
    line(name="talker")
    threading.Thread(target=beat, daemon=True).start()
    for text in sys.stdin:
        request = json.loads(text)
        threading.Thread(target=play, args=(request["session_id"], request["data"]), daemon=True).start()
    while True:
        time.sleep(3600)

if __name__ == "__main__":
    main()
'''
STUBBORN = TALKER.replace("def main():", "def main():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)")
MANIFEST = json.dumps({"meta": {"runner": {"language": "python", "entrypoint": "main"}}}).encode()


def package(files: Mapping[str, str | bytes | None]) -> bytes:
    """A zip of the talker with other files; None leaves one out."""
    content: dict[str, str | bytes | None] = {
        "manifest.yaml": "",
        "main.py": TALKER,
        "requirements.txt": "",
        "_assets/icon.svg": "<svg/>",
        **files,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in content.items():
            if text is not None:
                archive.writestr(name, text)
    return out.getvalue()


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


@implementer(IPackages)
@define(eq=False)
class MemoryPackages:
    """What the catalog would have; but it never tells what is installed, so that nothing is started or stopped unasked."""

    held: dict[PluginIdentifier, bytes] = field(factory=dict)
    declared: bytes = MANIFEST

    def add(self, name: str, files: Mapping[str, str | bytes | None] = {}) -> PluginIdentifier:
        identifier = PluginIdentifier.parse(f"tests/{name}:0.0.1@{'ab' * 32}")
        self.held[identifier] = package(files)
        return identifier

    async def installed(self) -> list[PluginIdentifier]:
        await Deferred()
        return []

    async def in_use(self, identifier: PluginIdentifier) -> bool:
        return True

    async def named(self) -> set[PluginIdentifier]:
        return set()

    async def declaration(self, identifier: PluginIdentifier) -> Declaration:
        if identifier not in self.held:
            raise PluginNotFound
        return Declaration.decode(self.declared)

    async def fetch(self, identifier: PluginIdentifier, destination: Path) -> None:
        _write(destination, self.held[identifier])


@implementer(IProgress)
@define(eq=False)
class Told:
    """Remembers all that was said."""

    lines: list[str] = field(factory=list)

    def info(self, text: str) -> None:
        self.lines.append(text)


@implementer(ISession)
@define(eq=False)
class Conversation:
    """One call: its steps, and what came back; `over` fires with None at the end, with the failure when it broke."""

    id: str
    request: bytes
    repeatable: bool = False
    chunks: list[Any] = field(factory=list)
    over: Deferred[None] = field(factory=Deferred)

    @classmethod
    def of(cls, *steps: list[Any]) -> "Conversation":
        session = os.urandom(8).hex()
        return cls(session, json.dumps({"session_id": session, "event": "request", "data": steps}).encode() + b"\n")

    def stream(self, data: bytes) -> None:
        self.chunks.append(json.loads(bytes(data)))

    def flush(self) -> None:
        pass

    def end(self) -> None:
        self._finish(None)

    def error(self, data: bytes) -> None:
        self._finish(PluginInvokeError("Error", data.decode()))

    def invoke(self, data: bytes) -> None:
        self._finish(PluginInvokeError("Unexpected", "invoke"))

    def unknown(self, kind: str) -> None:
        self._finish(PluginInvokeError("Unexpected", kind))

    def broken(self, reason: PluginInvokeError) -> None:
        self._finish(reason)

    def _finish(self, why: PluginInvokeError | None) -> None:
        if not self.over.called:
            if why is None:
                self.over.callback(None)
            else:
                self.over.errback(why)


async def call(runtime: IPluginRuntime, *steps: list[Any]) -> list[Any]:
    """The chunks of one call; raises what ended it."""
    session = Conversation.of(*steps)
    channel: IChannel = await runtime.open(session)
    try:
        await session.over
    finally:
        channel.close()
    return session.chunks


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def gone(*pids: int) -> None:
    """Returns when none of the processes is there; the limit is the test's."""
    while any(map(alive, pids)):
        await deferLater(reactor, 0.02)


class LocalTestCase(TestCase):
    """A supervisor of its own for every test, in a directory of its own."""

    timeout = 60
    secrets = frozenset({"SERVER_KEY"})
    surroundings: Mapping[str, str] = {}
    installer: Mapping[str, Any] = {}
    silence = 30.0
    quiet = 10.0
    uv = ""
    patience = Patience(startup=20, ready=20)
    limits = Limits(line=5 * 1024 * 1024, grace=1.0)
    idle = 0.0

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="difyd-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.packages = MemoryPackages()
        self.events: list[Event] = []
        self.make()

    def add(self, name: str, files: Mapping[str, str | bytes | None] = {}) -> PluginIdentifier:
        """
        A package whose working directory is there already, with an environment, as another daemon may have left it.

        The environment is the interpreter of the tests under another name: nothing has to be built.
        """
        identifier = self.packages.add(name, files)
        place = self.root / identifier.directory
        with zipfile.ZipFile(io.BytesIO(self.packages.held[identifier])) as archive:
            archive.extractall(place)
        (place / ".venv" / "bin").mkdir(parents=True)
        (place / ".venv" / "dify").mkdir()
        (place / ".venv" / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
        (place / ".venv" / "pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(sys.executable))}\n")
        (place / ".venv" / "dify" / "plugin.json").write_text('{"timestamp":1735689600}')
        return identifier

    def make(self) -> None:
        """Everything as a start of the daemon makes it."""
        hooks = Hooks()
        hooks.add(self.events.append)
        settings = LocalSettings(
            root=self.root,
            environment={**os.environ, "SERVER_KEY": "hidden", **self.surroundings},
            secrets=self.secrets,
            python="3.12",
            build=BuildSettings(Installer(find_uv(self.uv), **self.installer), silence=self.silence, quiet=self.quiet),
            builds=2,
            limits=self.limits,
            idle=self.idle,
        )
        self.threads = Threads(reactor, ThreadPool(1, 4, "files"))
        self.working_path, self.guard, local = assemble(reactor, self.threads, self.packages, hooks, settings)
        self.local = local
        self.supervisor = Supervisor(reactor, local, self.patience, hooks, lambda: 0.5)
        self.threads.startService()
        self.supervisor.startService()

    async def unmake(self) -> None:
        """Everything as a stop of the daemon does it."""
        await self.supervisor.stopService()
        await self.guard.stopService()
        await self.threads.stopService()

    def tearDown(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.unmake())

    async def up(self, identifier: PluginIdentifier) -> IPluginRuntime:
        """Launch it and find it."""
        await self.supervisor.launch(identifier, Told())
        return await self.supervisor.find(TENANT, identifier, RuntimeType.LOCAL)
