"""
Start what is measured, load it, read what it cost.

Two servers answer the same requests: the daemon with the plugin of plugin/ behind it, and plain.py. CPU and memory are those of the
server's own process; the plugin is left out. Absolute figures belong to a machine; the ratio between the two is what carries over.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from difyd.package.builder import build_package_blocking
from difyd.settings import variables

HERE = Path(__file__).parent
TENANT = "00000000-0000-0000-0000-000000000001"
KEY = "benchmark"


@dataclass
class Server:
    """A process that answers `request`s on `port` of this machine."""

    name: str
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def memory(self) -> float:
        """KiB that would be free if it ended."""
        return self.process.memory_full_info().uss / 1024

    def request(self, count: int, size: int = 20, pause: float = 0.0, ask: str = "") -> bytes:
        """
        A call that is answered by `count` messages of `size` characters, `pause` seconds apart; size 0: the time of writing.

        With `ask` the plugin calls back `count` times and answers with one message that has the number of responses.
        """
        parameters = {"count": count, "size": size, "pause": pause, "ask": ask}
        body = json.dumps(
            {"user_id": "u", "data": {"provider": "workload", "tool": "answer", "credentials": {}, "tool_parameters": parameters}}
        )
        head = (
            f"POST /plugin/{TENANT}/dispatch/tool/invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {KEY}\r\nX-Plugin-ID: difyd/workload\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()


# The client ---------------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """One call as its client saw it."""

    events: int
    seconds: float


@dataclass
class Connection(asyncio.Protocol):
    """A keep-alive connection that makes one call after the other, and parses no more of an answer than it must."""

    on_data: Callable[[bytes], None] = lambda _: None
    transport: Any = None
    _end: "asyncio.Future[int] | None" = None
    _events: int = 0
    _tail: bytes = field(default=b"", repr=False)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.on_data(data)
        self._events += (self._tail + data).count(b"data: ")  # the tail is too short to hold one that was counted
        self._tail = (self._tail + data)[-5:]
        if self._tail == b"0\r\n\r\n" and self._end is not None and not self._end.done():
            self._end.set_result(self._events)

    def connection_lost(self, why: Exception | None) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_exception(ConnectionError(f"closed after {self._events} events: {self._tail!r}"))

    async def ask(self, request: bytes) -> Answer:
        self._events, self._tail, self._end = 0, b"", asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self.transport.write(request)
        events = await self._end
        return Answer(events, time.perf_counter() - started)


async def connect(server: Server, on_data: Callable[[bytes], None] = lambda _: None) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(on_data), "127.0.0.1", server.port)
    return connection


async def hammer(server: Server, request: bytes, connections: int, seconds: float) -> list[Answer]:
    """The answers that so many clients get in this time, each asking again as soon as it was answered."""
    end = time.perf_counter() + seconds

    async def client() -> list[Answer]:
        connection = await connect(server)
        answers = []
        while time.perf_counter() < end:
            answers.append(await connection.ask(request))
        connection.transport.abort()
        return answers

    return [answer for answers in await asyncio.gather(*(client() for _ in range(connections))) for answer in answers]


# The servers --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def plain() -> Iterator[Server]:
    with subprocess.Popen([sys.executable, str(HERE / "plain.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server("twisted.web", int(process.stdout.readline()), psutil.Process(process.pid))
        process.stdin.close()


@contextlib.contextmanager
def daemon(**settings: str) -> Iterator[Server]:
    """A daemon in a directory of its own, with the plugin installed and answering."""
    with tempfile.TemporaryDirectory(prefix="difyd-benchmark-") as name:
        home = Path(name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ours = {variable.name for variable in variables()}
        environment = {name: value for name, value in os.environ.items() if name not in ours} | {
            "SERVER_KEY": KEY,
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": str(port),
            "DIFY_INNER_API_URL": "http://127.0.0.1:9",
            "DIFY_INNER_API_KEY": KEY,
            "PLUGIN_STORAGE_LOCAL_ROOT": str(home / "storage"),
            "PLUGIN_PYTHON": str(Path(sys.executable).resolve()),
            "FORCE_VERIFYING_SIGNATURE": "false",
            **settings,
        }
        command = [str(Path(sys.executable).with_name("twistd")), "-n", "difyd"]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            install(f"http://127.0.0.1:{port}", home)
            yield Server("difyd", port, psutil.Process(process.pid))
        except BaseException:
            print((home / "log").read_text(errors="replace")[-2000:])
            raise
        finally:
            process.terminate()
            process.wait()


def install(url: str, home: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/health/check", timeout=1).close()
            break
        time.sleep(0.1)
    package = home / "workload.difypkg"
    build_package_blocking(HERE / "plugin", package)
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="dify_pkg"; filename="a.difypkg"\r\n\r\n'.encode()
    form = head + package.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    uploaded = ask(url, "/install/upload/package", form, f"multipart/form-data; boundary={boundary}")
    order = {"plugin_unique_identifiers": [uploaded["unique_identifier"]], "source": "package", "metas": [{}]}
    started = ask(url, "/install/identifiers", json.dumps(order).encode())
    task = {"status": "running"}
    while task["status"] in ("pending", "running"):
        time.sleep(0.1)
        task = ask(url, f"/install/tasks/{started['task_id']}")
    if task["status"] != "success":
        raise RuntimeError(f"the plugin was not installed: {task}")


def ask(url: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
    request = urllib.request.Request(f"{url}/plugin/{TENANT}/management{path}", body, {"X-Api-Key": KEY, "Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=120) as response:
        envelope = json.load(response)
    if envelope["code"] != 0:
        raise RuntimeError(envelope["message"])
    return envelope["data"]


# The figures --------------------------------------------------------------------------------------------------------------


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(title: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Two columns, one for each of the two things compared, and their ratio."""
    (one, first), (other, second) = figures.items()
    print(f"\n{title}\n{'':30}{one:>16}{other:>16}{'ratio':>10}")
    for what, value in first.items():
        print(f"{what:30}{value:16.2f}{second[what]:16.2f}{value / second[what]:10.2f}", flush=True)
