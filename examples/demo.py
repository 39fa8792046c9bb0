"""
From a plugin's source to its streamed answer, through a daemon on embedded defaults: what `make demo` runs.

    python examples/demo.py [--once]

Everything it makes is below .demo/. It speaks to the daemon as a Dify API server does, with nothing but the standard library.
"""

import argparse
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from difyd.package.builder import build_package_blocking
from difyd.settings import variables
from difyd.settings.areas import Environments
from difyd.settings.variable import declared

HERE = Path(__file__).parent
PLUGIN = HERE / "text_toolbox"
PLUGIN_ID = "difyd/text_toolbox"
TENANT = "00000000-0000-0000-0000-000000000001"  # a workspace of Dify; any UUID
KEY = "demo-key"
TEXT = "A plugin writes a line, a client reads an event. The daemon knows whose line it is, and lets the bytes through."


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--once", action="store_true", help="end after the calls instead of serving on")
    arguments.add_argument("--home", type=Path, default=HERE.parent / ".demo", help="directory for everything that is made")
    options = arguments.parse_args()
    home: Path = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    port = free_port(5002)  # as in every Dify deployment
    debugging_port = free_port(5003)
    for end in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed is as good as Ctrl-C
        signal.signal(end, signal.default_int_handler)
    with running_daemon(home, port, debugging_port) as daemon, contextlib.suppress(KeyboardInterrupt):
        show(Client(f"http://127.0.0.1:{port}"), home)
        if not options.once:
            serve_on(daemon, port, debugging_port)
    say("Stopped", f"the daemon ended with status {daemon.returncode}")
    return 0 if daemon.returncode == 0 else 1


def show(dify: "Client", home: Path) -> None:
    """What a Dify API server does when somebody installs a plugin and an app uses it."""
    say("Package", f"{PLUGIN.relative_to(HERE.parent)} becomes {home.name}/text_toolbox.difypkg")
    package = home / "text_toolbox.difypkg"
    build_package_blocking(PLUGIN, package)

    uploaded = dify.upload(package.read_bytes())
    identifier = uploaded["unique_identifier"]
    say("Upload", f"the daemon knows it as {identifier[:60]}…")

    say("Install", "the daemon builds a Python environment for it and starts it")
    dify.install(identifier)

    say("Call", "describe: the answer arrives word by word")
    for message in dify.call("describe", text=TEXT):
        print(message["message"]["text"], end="", flush=True)
    print()

    say("Call", "table: the answer is JSON")
    for message in dify.call("table", csv="city,people\nOslo,717710\nTurku,206035"):
        print(json.dumps(message["message"]))

    say("Call", "chart: the answer is a file")
    drawing = home / "words.svg"
    drawing.write_bytes(b"".join(base64.b64decode(message["message"]["blob"]) for message in dify.call("chart", text=TEXT)))
    print(f"{drawing.stat().st_size} bytes in {home.name}/words.svg")


def serve_on(daemon: "subprocess.Popen[bytes]", port: int, debugging_port: int) -> None:
    body = {"user_id": "you", "data": {"provider": "text", "tool": "describe", "tool_parameters": {"text": "Hello!"}}}
    say("Serving", "Ctrl-C ends it. Try in another terminal:")
    print(f"""
    curl -N http://127.0.0.1:{port}/plugin/{TENANT}/dispatch/tool/invoke \\
         -H 'X-Api-Key: {KEY}' -H 'X-Plugin-ID: {PLUGIN_ID}' -H 'Content-Type: application/json' \\
         -d '{json.dumps(body)}'

    A plugin of your own: docs/debugging.md; it connects to 127.0.0.1:{debugging_port}
""")
    daemon.wait()


class Client:
    """The Dify API server's side of the wire."""

    def __init__(self, url: str) -> None:
        self.base = f"{url}/plugin/{TENANT}"

    def open(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        request = urllib.request.Request(self.base + path, body, {"X-Api-Key": KEY, "Content-Type": "application/json", **headers})
        return urllib.request.urlopen(request, timeout=600)

    def json(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Answers are envelopes: `code` 0 and `data`, or a negative code and `message`."""
        with self.open(path, body, **headers) as response:
            return opened(json.load(response))

    def upload(self, package: bytes) -> Any:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="dify_pkg"; filename="a.difypkg"\r\n\r\n'
        body = head.encode() + package + f"\r\n--{boundary}--\r\n".encode()
        content_type = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.json("/management/install/upload/package", body, **content_type)

    def install(self, identifier: str) -> None:
        """Start the installation and show what its task says until it is over."""
        began = time.monotonic()
        order = {"plugin_unique_identifiers": [identifier], "source": "package", "metas": [{}]}
        started = self.json("/management/install/identifiers", json.dumps(order).encode())
        said, task = "", {"status": "success"} if started["all_installed"] else {"status": "running"}
        while task["status"] in ("pending", "running"):
            task = self.json(f"/management/install/tasks/{started['task_id']}")
            message = task["plugins"][0]["message"]
            if message != said:
                print(f"    {time.monotonic() - began:5.1f} s  {message}", flush=True)
                said = message
            time.sleep(0.2)
        if task["status"] != "success":
            raise SystemExit("the installation failed; .demo/daemon.log says more")
        if started["all_installed"]:
            print("    it was installed by an earlier demo; 'make clean' forgets that")

    def call(self, tool: str, **parameters: str) -> Iterator[Any]:
        """Invoke a tool; its messages, each at the moment when it arrives as a server-sent event."""
        body = {"user_id": "demo", "data": {"provider": "text", "tool": tool, "credentials": {}, "tool_parameters": parameters}}
        with self.open("/dispatch/tool/invoke", json.dumps(body).encode(), **{"X-Plugin-ID": PLUGIN_ID}) as events:
            for line in events:
                if line.startswith(b"data:"):
                    yield opened(json.loads(line[5:]))


def opened(envelope: Mapping[str, Any]) -> Any:
    if envelope["code"] != 0:
        raise SystemExit(f"the daemon answered {envelope['code']}: {envelope['message']}")
    return envelope["data"]


@contextlib.contextmanager
def running_daemon(home: Path, port: int, debugging_port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon with nothing configured but what it cannot do without; stopped at the end."""
    ours = {variable.name for variable in variables()} - {variable.name for variable in declared(Environments)}
    environment = {name: value for name, value in os.environ.items() if name not in ours and name != "DIFYD_SETTINGS"}
    environment.update(
        SERVER_KEY=KEY,
        SERVER_HOST="127.0.0.1",
        SERVER_PORT=str(port),
        PLUGIN_REMOTE_INSTALLING_PORT=str(debugging_port),
        DIFY_INNER_API_URL="http://127.0.0.1:5001",  # nobody listens there: the plugin of the demo does not call Dify
        DIFY_INNER_API_KEY="demo-inner-key",
        PLUGIN_STORAGE_LOCAL_ROOT=str(home / "storage"),
        FORCE_VERIFYING_SIGNATURE="false",  # the package is not signed
    )
    # The Python that runs this is surely there; the default, 3.12, would be fetched if it were missing.
    environment.setdefault("PLUGIN_PYTHON", str(Path(sys.executable).resolve()))
    log = home / "daemon.log"
    say("Start", f"a daemon on http://127.0.0.1:{port}, its log is {home.name}/daemon.log")
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [str(Path(sys.executable).with_name("twistd")), "-n", "difyd"],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this script, which then stops the daemon properly
        )
    try:
        wait_until_serving(daemon, port, log)
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def wait_until_serving(daemon: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(600):
        if daemon.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/check", timeout=2).close()
            return
        time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise SystemExit(f"the daemon does not serve. The end of {log}:\n{tail}")


def free_port(wanted: int) -> int:
    """The one that is wanted, or another one if that is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SystemExit("no TCP port is free")


def say(step: str, what: str) -> None:
    print(f"\n== {step}: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
