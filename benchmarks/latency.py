"""How long a message is on its way, from the plugin's write to the client's read: 20 calls with 50 messages a second each."""

import asyncio
import re
import time

from harness import Server, connect, daemon, plain, quantile, report

STAMP = re.compile(rb'"text": ?"(\d+)"')


def measure(server: Server) -> dict[str, float]:
    delays: list[float] = []

    def arrived(data: bytes) -> None:
        now = time.time_ns()
        delays.extend((now - int(stamp)) / 1e6 for stamp in STAMP.findall(data))

    async def calls() -> None:
        connections = [await connect(server, arrived) for _ in range(20)]
        await asyncio.gather(*(connection.ask(server.request(250, 0, 0.02)) for connection in connections))

    before = server.cpu()
    asyncio.run(calls())
    used = server.cpu() - before
    return {
        "p50 ms": quantile(delays, 0.5),
        "p99 ms": quantile(delays, 0.99),
        "CPU µs per message": used / len(delays) * 1e6,
    }


if __name__ == "__main__":
    with daemon() as one, plain() as other:
        report("From the plugin's write to the client's read", {server.name: measure(server) for server in (one, other)})
