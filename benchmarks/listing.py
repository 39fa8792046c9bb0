"""
What it costs to list 500 installed plugins, in two pages, as the console does; against a small call.

The plugins are rows alone, with declarations of 11 KB: nothing of them is started.
"""

import asyncio
import http.client
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.store.database import connect, installations
from difyd.store.database.engine import Transaction
from difyd.store.database.ids import Ids
from harness import KEY, TENANT, Server, daemon, hammer, report

PLUGINS = 499
"""Besides the one that answers small calls."""
ROUNDS = 50
CHANGE = "UPDATE plugins SET source = lower(hex(randomblob(8))) WHERE rowid = 1"
"""Of a row that no list shows. SQLite leaves out what changes nothing."""


def declaration(name: str) -> bytes:
    tool = {
        "identity": {"author": "bench", "name": "tool", "label": {"en_US": "Tool", "zh_Hans": "工具"}},
        "description": {"human": {"en_US": "does something useful " * 9, "zh_Hans": "做一些有用的事" * 9}, "llm": "what it does " * 16},
        "parameters": [{"name": f"p{n}", "type": "string", "required": True, "label": {"en_US": "Parameter"}} for n in range(3)],
    }
    value = {
        "version": "0.0.1",
        "type": "plugin",
        "author": "bench",
        "name": name,
        "label": {"en_US": name},
        "description": {"en_US": "One of many"},
        "icon": "icon.svg",
        "resource": {"memory": 1 << 20},
        "plugins": {"tools": ["provider.yaml"]},
        "tool": {"identity": {"author": "bench", "name": name, "label": {"en_US": name}}, "tools": [tool] * 11},
    }
    return json.dumps(value, ensure_ascii=False).encode()


def fill(path: Path) -> None:
    engine = connect.sqlite_engine(path, 1)
    with engine.begin() as connection:
        transaction = Transaction(connection, Ids(time.time), datetime.now(UTC))
        for number in range(PLUGINS):
            identifier = PluginIdentifier.parse(f"bench/p{number}:0.0.1@{'0' * 64}")
            kept = Declaration.decode(declaration(f"p{number}"))
            installations.install_blocking(transaction, TENANT, identifier, kept, runtime=RuntimeType.LOCAL, source="package")
    engine.dispose()


def listed(server: Server, rounds: int, change: Callable[[], object] = lambda: None) -> float:
    """
    CPU µs of the server, with `change` before each round.

    Answers are not decoded in between: on a small machine that would drive the server's data out of the caches.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    before = server.cpu()
    for _ in range(rounds):
        change()
        found = 0
        for page in (1, 2):
            connection.request("GET", f"/plugin/{TENANT}/management/list?page={page}&page_size=256", headers={"X-Api-Key": KEY})
            found += connection.getresponse().read().count(b'"installation_id":')
        if found != PLUGINS + 1:
            raise RuntimeError(f"{found} plugins are in the list")
    used = server.cpu() - before
    connection.close()
    return used / rounds * 1e6


def called(server: Server) -> float:
    before = server.cpu()
    answers = asyncio.run(hammer(server, server.request(1), 16, 4))
    return (server.cpu() - before) / len(answers) * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="difyd-benchmark-") as directory:
        path = Path(directory) / "difyd.db"
        with daemon(DB_SQLITE_PATH=str(path)) as server:
            fill(path)
            what = "CPU µs"
            first = listed(server, 1)
            again, call = listed(server, ROUNDS), called(server)
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                changed = listed(server, ROUNDS, lambda: other.execute(CHANGE))
            for how, cost in (("for the first time", first), ("again", again), ("after a change of the database", changed)):
                report(f"500 plugins listed {how}", {"list": {what: cost}, "small call": {what: call}})


if __name__ == "__main__":
    main()
