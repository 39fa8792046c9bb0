"""A daemon that has one of the examples installed, a Dify of a few lines behind it, and the client of a Dify API server."""

import atexit
import base64
import json
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, ClassVar

from attrs import define, field
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from difyd.package.builder import build_package_blocking
from difyd.settings import variables
from difyd.settings.areas import Environments
from difyd.settings.variable import declared
from difyd.wire.frames import HEADER, HEADER_LENGTH, MAGIC
from examples.demo import KEY, Client, opened, wait_until_serving
from tests.integration.test_demo import BIN, LIMIT, ROOT, command

USER = "reader"


@define(eq=False)
class Dify:
    """
    The inner API: secrets come back in base64, everything else is answered by the script.

    `script`: below a route, what is answered to its first call, its second, and so on; each answer is a list of frames, and of events that
    are waited for before the rest is said.
    """

    asked: list[tuple[str, Any]] = field(factory=list)
    """Routes, and what was asked there; secrets left out."""
    script: dict[str, list[list[Any]]] = field(factory=dict)

    def answer(self, route: str, body: Any) -> Iterator[bytes]:
        if route == "invoke/encrypt":
            turned = self._turned(body["data"], body["config"], seal if body["opt"] == "encrypt" else unseal)
            yield json.dumps({"data": {"data": turned}, "error": ""}).encode()
            return
        self.asked.append((route, body))
        for step in self.script[route].pop(0):
            if isinstance(step, threading.Event):
                step.wait(LIMIT)
            else:
                yield frame(step)

    def _turned(self, data: Mapping[str, Any], config: list[Any], turn: Callable[[str], str]) -> dict[str, Any]:
        secrets = {entry["name"] for entry in config if entry["type"] == "secret-input"}
        return {name: turn(value) if name in secrets else value for name, value in data.items()}

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("InnerApi", (InnerApi,), {"dify": self}))
        # Not waited for at the end of the process, where `Shared` may still have to close the house.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class InnerApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dify: Dify

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in self.dify.answer(self.path.removeprefix("/inner/api/"), body):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """The tests say what is wrong."""


def frame(payload: Any) -> bytes:
    data = json.dumps({"data": payload, "error": ""}).encode()
    return HEADER.pack(MAGIC, HEADER_LENGTH, len(data)) + data


def seal(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode()


def unseal(sealed: str) -> str:
    return base64.b64decode(sealed).decode()


class ExampleClient(Client):
    """What a Dify API server asks of one plugin."""

    plugin_id = ""
    identifier = ""

    def chunks(self, route: str, *, envelope: Mapping[str, Any] = {}, **data: Any) -> list[Any]:
        """The `data` of all events; fails on an error."""
        return [opened(event) for event in self.events(route, envelope, data)]

    def refusal(self, route: str, **data: Any) -> tuple[str, str]:
        """Type and words of the exception that the plugin ended the call with."""
        (event,) = self.events(route, {}, data)
        told = json.loads(event["message"])
        assert (event["code"], told["error_type"]) == (-500, "PluginInvokeError"), event
        cause = json.loads(told["message"])
        return cause["error_type"], cause["message"]

    def events(self, route: str, envelope: Mapping[str, Any], data: Mapping[str, Any]) -> list[Any]:
        body = json.dumps({"user_id": USER, **envelope, "data": data}).encode()
        with self.open(f"/dispatch/{route}", body, **{"X-Plugin-ID": self.plugin_id}) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream", stream.headers
            return [json.loads(line[5:]) for line in stream if line.startswith(b"data:")]

    def manage(self, path: str, **order: Any) -> Any:
        return self.json(path, json.dumps(order).encode())

    def add(self, package: bytes) -> None:
        """Upload and install; returns when the plugin serves."""
        self.identifier = self.upload(package)["unique_identifier"]
        self.plugin_id = self.identifier.partition(":")[0]
        order = {"plugin_unique_identifiers": [self.identifier], "source": "package", "metas": [{}]}
        started = self.manage("/management/install/identifiers", **order)
        end = monotonic() + LIMIT
        while (task := self.json(f"/management/install/tasks/{started['task_id']}"))["status"] in ("pending", "running"):
            assert monotonic() < end, task
            sleep(0.1)
        assert task["status"] == "success", task


@define(eq=False)
class House:
    """Everything that the tests of a class share."""

    url: str
    client: ExampleClient
    dify: Dify

    def hook(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any, list[bytes]]:
        """Status, headers and lines that anybody gets below `/e/`."""
        with self.calling(path, method, body, **headers) as response:
            return response.status, response.headers, list(response)

    @contextmanager
    def calling(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Iterator[Any]:
        """The response to such a request, to be read as it comes."""
        request = urllib.request.Request(f"{self.url}/e/{path}", body, headers, method=method)
        try:
            response = urllib.request.urlopen(request, timeout=LIMIT)
        except urllib.error.HTTPError as refused:
            response = refused
        with response:
            yield response


@contextmanager
def house(example: str) -> Iterator[House]:
    """A daemon in a directory of its own, with nothing but the example; it has to end with status 0. Raises SkipTest."""
    with TemporaryDirectory() as directory, ExitStack() as parts:
        home, plugin = Path(directory), ROOT / "examples" / example
        package = home / "example.difypkg"
        build_package_blocking(plugin, package)
        need_packages(plugin / "requirements.txt", directory)
        dify = Dify()
        url = parts.enter_context(daemon(home, parts.enter_context(dify.serving())))
        client = ExampleClient(url)
        client.add(package.read_bytes())
        yield House(url, client, dify)


def need_packages(requirements: Path, home: str) -> None:
    """Raises SkipTest where no package index can be reached; requirements that cannot be met are another matter."""
    probe = command(BIN / "uv", "pip", "compile", "--quiet", "--no-deps", requirements, home=home)
    if "Failed to fetch" in probe.stderr or "network was disabled" in probe.stderr:
        raise SkipTest(f"no package index can be reached: {probe.stderr.strip()[-200:]}")
    assert probe.returncode == 0, probe.stderr


@contextmanager
def daemon(home: Path, inner_api: str) -> Iterator[str]:
    """Its address."""
    port = free_port()
    ours = {variable.name for variable in variables()} - {variable.name for variable in declared(Environments)}
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {
        "SERVER_KEY": KEY, "SERVER_HOST": "127.0.0.1", "SERVER_PORT": str(port), "PLUGIN_REMOTE_INSTALLING_ENABLED": "false",
        "DIFY_INNER_API_URL": inner_api, "DIFY_INNER_API_KEY": "inner", "PLUGIN_STORAGE_LOCAL_ROOT": str(home / "storage"),
        "FORCE_VERIFYING_SIGNATURE": "false",
    }  # fmt: skip
    environment.setdefault("PLUGIN_PYTHON", str(Path(sys.executable).resolve()))
    log = home / "daemon.log"
    with log.open("wb") as output:
        process = Popen([BIN / "twistd", "-n", "difyd"], cwd=home, env=environment, stdin=DEVNULL, stdout=output, stderr=STDOUT)
    try:
        wait_until_serving(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@define(eq=False)
class Shared:
    """
    One house for all tests of a class: the first test that runs opens it, the last one closes it.

    trial has no fixtures of classes, but it makes the tests of a class before it runs any, so they can be counted.
    """

    example: str
    tests: int = 0
    _closing: ExitStack = field(factory=ExitStack, init=False)
    _house: House | None = field(default=None, init=False)
    _refusal: Exception | None = field(default=None, init=False)

    def open(self) -> House:
        """Raises for every test what went wrong at the first."""
        if self._refusal is not None:
            raise self._refusal
        if self._house is None:
            atexit.register(self._closing.close)  # for a run that ends before the last test
            try:
                self._house = self._closing.enter_context(house(self.example))
            except Exception as why:
                self._refusal = why
                raise
        return self._house

    def leave(self) -> None:
        self.tests -= 1
        if self.tests <= 0:
            self._house = None
            self._closing.close()


class ExampleTestCase(SynchronousTestCase):
    """Tests of one example, on the real SDK."""

    example: ClassVar[str] = ""
    """Its directory below examples/."""
    shared: ClassVar[Shared]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.shared = Shared(cls.example)

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.shared.tests += 1

    def setUp(self) -> None:
        self.addCleanup(self.shared.leave)
        self.house = self.shared.open()
        self.client = self.house.client
        self.dify = self.house.dify
