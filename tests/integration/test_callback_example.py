"""The example that calls Dify back, on the real SDK, against a Dify of a few lines."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from difyd.package.builder import build_package_blocking
from difyd.settings import variables
from difyd.settings.areas import Environments
from difyd.settings.variable import declared
from difyd.wire.frames import HEADER, HEADER_LENGTH, MAGIC
from examples.demo import KEY, TENANT, Client, free_port, opened, wait_until_serving
from tests.integration.test_demo import BIN, ROOT, command

PLUGIN = ROOT / "examples" / "reading_notes"
PLUGIN_ID = "difyd/reading_notes"
MODEL = {"provider": "acme/models/models", "model": "small", "mode": "chat", "model_type": "llm", "completion_params": {"temperature": 0}}


class Model(BaseHTTPRequestHandler):
    """The inner API's route to a language model, which repeats the first words that it is given."""

    protocol_version = "HTTP/1.1"
    asked: list[Any]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, self.headers["X-Inner-Api-Key"], body))
        words = body["prompt_messages"][-1]["content"].split()[:3]
        frames = b"".join(self.frame(index, word) for index, word in enumerate([*words, "…"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(frames)))
        self.end_headers()
        self.wfile.write(frames)

    def frame(self, index: int, word: str) -> bytes:
        message = {"role": "assistant", "content": f"{word} ", "tool_calls": []}
        chunk = {"model": "small", "prompt_messages": [], "delta": {"index": index, "message": message}}
        data = json.dumps({"data": chunk, "error": ""}).encode()
        return HEADER.pack(MAGIC, HEADER_LENGTH, len(data)) + data

    def log_message(self, format: str, *args: Any) -> None:
        """The tests say what is wrong."""


@contextmanager
def dify() -> Iterator[tuple[str, list[Any]]]:
    """The address of a Dify, and what it was asked."""
    asked: list[Any] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneModel", (Model,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def daemon(home: Path, inner_api: str) -> Iterator["Notes"]:
    """A daemon that has the example installed."""
    port = free_port(0)
    ours = {variable.name for variable in variables()} - {variable.name for variable in declared(Environments)}
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {
        "SERVER_KEY": KEY, "SERVER_HOST": "127.0.0.1", "SERVER_PORT": str(port), "PLUGIN_REMOTE_INSTALLING_ENABLED": "false",
        "DIFY_INNER_API_URL": inner_api, "DIFY_INNER_API_KEY": "inner", "PLUGIN_STORAGE_LOCAL_ROOT": str(home / "storage"),
        "FORCE_VERIFYING_SIGNATURE": "false", "PLUGIN_PYTHON": str(Path(sys.executable).resolve()),
    }  # fmt: skip
    log = home / "daemon.log"
    with log.open("wb") as output:
        process = Popen([BIN / "twistd", "-n", "difyd"], cwd=home, env=environment, stdin=DEVNULL, stdout=output, stderr=STDOUT)
    try:
        wait_until_serving(process, port, log)
        client = Notes(f"http://127.0.0.1:{port}")
        package = home / "notes.difypkg"
        build_package_blocking(PLUGIN, package)
        started = client.json("/management/install/identifiers", json.dumps({
            "plugin_unique_identifiers": [client.upload(package.read_bytes())["unique_identifier"]], "source": "package", "metas": [{}],
        }).encode())  # fmt: skip
        while not started["all_installed"] and client.task(started["task_id"]) == "running":
            sleep(0.1)
        yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text(errors="replace")


class Notes(Client):
    def task(self, task_id: str) -> str:
        task = self.json(f"/management/install/tasks/{task_id}")
        assert task["status"] != "failed", task
        return "running" if task["status"] in ("pending", "running") else str(task["status"])

    def ask(self, tool: str, **parameters: object) -> list[str]:
        """The texts of a tool's answer."""
        body = {"user_id": "reader", "data": {"provider": "reading", "tool": tool, "credentials": {}, "tool_parameters": parameters}}
        with self.open("/dispatch/tool/invoke", json.dumps(body).encode(), **{"X-Plugin-ID": PLUGIN_ID}) as events:
            return [opened(json.loads(line[5:]))["message"]["text"] for line in events if line.startswith(b"data:")]


class ExampleTests(SynchronousTestCase):
    def test_notes(self) -> None:
        """A model's words are streamed through the plugin and kept; Dify was asked in the caller's name."""
        with TemporaryDirectory() as directory:
            home = Path(directory)
            probe = command(BIN / "uv", "pip", "compile", "--quiet", "--no-deps", PLUGIN / "requirements.txt", home=directory)
            if probe.returncode != 0:
                raise SkipTest(f"no package index can be reached: {probe.stderr.strip()[-200:]}")
            with dify() as (url, asked), daemon(home, url) as notes:
                self.assertEqual(notes.ask("recall", title="Ulysses"), ["There is no note about Ulysses."])
                words = notes.ask("note", title="Ulysses", text="Stately, plump Buck Mulligan came", model=MODEL)
                self.assertEqual(words, ["Stately, ", "plump ", "Buck ", "… "])
                self.assertEqual(notes.ask("recall", title=" ulysses"), ["Stately, plump Buck … "])
                ((path, key, body),) = asked
                self.assertEqual((path, key, body["tenant_id"], body["user_id"]), ("/inner/api/invoke/llm", "inner", TENANT, "reader"))
                self.assertEqual((body["model"], body["completion_params"], body["stream"]), ("small", {"temperature": 0}, True))
            kept = list((home / "storage" / "persistence" / TENANT / "difyd" / "reading_notes" / "notes").iterdir())
            self.assertEqual([json.loads(file.read_text())["title"] for file in kept], ["Ulysses"])
