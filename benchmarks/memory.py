"""What a call takes in memory that is open and silent, a thousand at once. Against the same requests at a plain web server."""

import asyncio

from harness import Server, connect, daemon, plain, report

CALLS = 1000


def measure(server: Server) -> dict[str, float]:
    async def calls() -> float:
        before = server.memory()
        first = asyncio.Semaphore(0)
        connections = [await connect(server, lambda _: first.release()) for _ in range(CALLS)]
        asked = [asyncio.ensure_future(connection.ask(server.request(2, 20, 3600))) for connection in connections]
        for _ in range(CALLS):
            await asyncio.wait_for(first.acquire(), 60)
        used = server.memory() - before
        for connection in connections:
            connection.transport.abort()
        await asyncio.gather(*asked, return_exceptions=True)
        return used

    return {"KiB per open call": asyncio.run(calls()) / CALLS}


if __name__ == "__main__":
    with daemon() as one, plain() as other:
        report("An open call", {server.name: measure(server) for server in (one, other)})
