"""The debugging port on real sockets: the real SDK in its remote mode, and TLS."""

import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, run
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer

from difyd.errors import ConnectionClosed, PluginInvokeError
from difyd.package.registration import Registration
from difyd.runtime.debug.assembly import DebugSettings, Neighbours, Tls, assemble_debugging, debugging_port
from difyd.runtime.debug.plugins import Alone, Limits
from difyd.runtime.interfaces import IPluginRuntime, ISession
from difyd.telemetry.metrics import NoMetrics
from tests.certificates import certificate
from tests.runtime.debug.house import MemoryHost, MemoryKeys, encoded, registration

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "text_toolbox"
SDK = "dify_plugin==0.7.4"
"""The newest one for Python 3.11, on which these tests have to run as well."""
LIMIT = 300.0
TALKATIVE = "An error occurred while parsing the data"
"""What the SDK shows for a line that it does not understand."""


@define(eq=False)
class Supervisor:
    """Tells when a plugin comes and goes."""

    runtimes: list[IPluginRuntime] = field(factory=list)
    waiting: list[Deferred[IPluginRuntime]] = field(factory=list)

    def connected(self, tenant: str, runtime: IPluginRuntime) -> None:
        self.runtimes.append(runtime)
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.callback(runtime)

    def disconnected(self, tenant: str, runtime: IPluginRuntime) -> None:
        self.runtimes.remove(runtime)

    def when_connected(self) -> Deferred[IPluginRuntime]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


@implementer(ISession)
@define(eq=False)
class Call:
    """One call of a tool; `over` fires with the texts of its answer, or with what broke it."""

    request: bytes
    id: str = "5b0f6d0e-6d6e-4f0f-9d0b-0b7f5d1c7a11"
    repeatable: bool = False
    chunks: list[Any] = field(factory=list)
    over: Deferred[list[Any]] = field(factory=Deferred)

    def stream(self, data: Raw) -> None:
        self.chunks.append(msgspec.json.decode(data))

    def flush(self) -> None: ...

    def end(self) -> None:
        if not self.over.called:
            self.over.callback(self.chunks)

    def error(self, data: bytes) -> None:
        self.broken(PluginInvokeError("Error", data.decode()))

    def invoke(self, data: bytes) -> None: ...

    def unknown(self, kind: str) -> None: ...

    def broken(self, reason: PluginInvokeError) -> None:
        if not self.over.called:
            self.over.errback(reason)


def describe(text: str) -> Call:
    return tool_call("text", "describe", text=text)


def greet(name: str) -> Call:
    return tool_call("hello", "greet", name=name)


def tool_call(provider: str, tool: str, **parameters: str) -> Call:
    data = {
        "type": "tool",
        "action": "invoke_tool",
        "user_id": "u",
        "provider": provider,
        "tool": tool,
        "credentials": {},
        "tool_parameters": parameters,
    }
    line = {"session_id": Call(b"").id, "event": "request", "data": data}
    return Call(msgspec.json.encode(line) + b"\n")


class PortTestCase(TestCase):
    timeout = LIMIT

    async def serve(self, tls: Tls | None = None) -> int:
        """Opens a port for the length of the test; its number."""
        self.supervisor, self.host = Supervisor(), MemoryHost([])
        neighbours = Neighbours(MemoryKeys(), self.host, self.supervisor, Alone(), NoMetrics(), Registration)
        server = assemble_debugging(reactor, debugging_port(reactor, "127.0.0.1", 0, tls), neighbours, DebugSettings(Limits(256, None)))
        await server.startService()
        self.addCleanup(server.stopService)
        return server.address.port


class SdkTests(PortTestCase):
    """The example plugin on its developer's machine."""

    async def test_remote(self) -> None:
        """It connects, answers word by word, complains of nothing; killed, its call fails at once, and it is gone."""
        home = await deferToThread(install_sdk, self.mktemp())
        port = await self.serve()
        arrival = self.supervisor.when_connected()
        log = home / "plugin.log"
        plugin = start_plugin(home, port)
        try:
            runtime = await arrival
            call = describe("One two three.")
            channel = await runtime.open(call)
            chunks = await call.over
            channel.close()
            self.assertTrue(all(chunk["type"] == "text" for chunk in chunks) and len(chunks) > 1, chunks)
            self.assertIn("3 words", "".join(chunk["message"]["text"] for chunk in chunks))
            self.assertEqual(runtime.identifier.plugin_id, "difyd/text_toolbox")
            self.assertNotIn(TALKATIVE, log.read_text())

            plugin.send_signal(19)  # SIGSTOP: it takes the request and does not answer
            call = describe("Four.")
            await runtime.open(call)
            plugin.kill()
            await self.assertFailure(call.over, ConnectionClosed)
        finally:
            plugin.kill()
            plugin.wait()

    async def test_page(self) -> None:
        """The plugin of docs/debugging.md, typed as the page says, greets."""
        home = await deferToThread(install_sdk, self.mktemp())
        source = home / "hello"
        type_page(source)
        port = await self.serve()
        arrival = self.supervisor.when_connected()
        plugin = start_plugin(home, port, source=source)
        try:
            runtime = await arrival
            call = greet("World")
            await runtime.open(call)
            (chunk,) = await call.over
            self.assertEqual((str(runtime.identifier)[:14], chunk["message"]), ("me/hello:0.0.1", {"text": "Hello, World!"}))
        finally:
            plugin.kill()
            plugin.wait()

    async def test_wrong_key(self) -> None:
        """Its developer reads why it is turned away."""
        home = await deferToThread(install_sdk, self.mktemp())
        log = home / "plugin.log"
        plugin = start_plugin(home, await self.serve(), key="wrong")
        try:
            await deferToThread(wait_for, lambda: f"{TALKATIVE}: b'handshake failed, invalid key'" in log.read_text())
        finally:
            plugin.kill()
            plugin.wait()


class TlsTests(PortTestCase):
    async def test_tls(self) -> None:
        """A port with a certificate serves what speaks TLS, and delivers its last words there too."""
        with TemporaryDirectory() as home:
            tls = certificate(Path(home))
            port = await self.serve(tls)
            arrival = self.supervisor.when_connected()
            with await deferToThread(connect, port, tls) as plugin:
                await deferToThread(plugin.sendall, encoded(*registration()))
                self.assertEqual((await arrival).identifier.plugin_id, "acme/weather")
            with await deferToThread(connect, port, tls) as stranger:
                await deferToThread(stranger.sendall, b"garbage\n" + b"x" * 100_000)
                self.assertEqual(await deferToThread(read_all, stranger), b"handshake failed, invalid handshake message\n")


def install_sdk(directory: str) -> Path:
    """A home for the example plugin, with an environment. Skips where no package index can be reached."""
    home = Path(directory).absolute()
    python = home / "venv" / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, home / "venv"],
        [uv, "pip", "install", "--quiet", "--python", python, SDK],
    ):
        made = run(list(map(str, command)), capture_output=True, text=True, check=False)
        if made.returncode:
            raise SkipTest(f"the SDK cannot be installed: {made.stderr.strip()[-300:]}")
    return home


def type_page(directory: Path) -> None:
    """Write the files that the page has its reader write."""
    page = (ROOT / "docs" / "debugging.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END$", page, re.DOTALL | re.MULTILINE):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name != ".env":  # whose key is another one; `start_plugin` gives its own
            file.write_text(text, encoding="utf-8")


def start_plugin(home: Path, port: int, key: str = "key-1", source: Path = EXAMPLE) -> "Popen[bytes]":
    """As its developer would; what it says goes to `plugin.log`."""
    settings = {"INSTALL_METHOD": "remote", "REMOTE_INSTALL_URL": f"127.0.0.1:{port}", "REMOTE_INSTALL_KEY": key, "PYTHONUNBUFFERED": "1"}
    command = [str(home / "venv" / "bin" / "python"), "-m", "main"]
    with (home / "plugin.log").open("wb") as out:
        return Popen(command, cwd=source, env={"PATH": os.environ["PATH"], **settings}, stdin=DEVNULL, stdout=out, stderr=STDOUT)


def wait_for(holds: Callable[[], bool]) -> None:
    """On a thread; the test's own limit ends the waiting."""
    for _ in range(int(LIMIT / 0.05)):
        if holds():
            return
        time.sleep(0.05)


def connect(port: int, tls: Tls) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(tls.certificate))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30), server_hostname="localhost")


def read_all(plugin: ssl.SSLSocket) -> bytes:
    data = b""
    while piece := plugin.recv(4096):
        data += piece
    return data
