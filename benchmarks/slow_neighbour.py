"""What calls suffer from a client that takes 40 MB from the same plugin and does not read. Against the same calls without it."""

import asyncio
import contextlib

from harness import Answer, Server, connect, daemon, hammer, quantile, report


async def idle(server: Server) -> None:
    """Until the 40 MB have arrived: the socket is full, the rest waits in the daemon."""
    used = -1.0
    while server.cpu() - used > 0.01:
        used = server.cpu()
        await asyncio.sleep(0.5)


async def beside(server: Server) -> list[Answer]:
    slow = await connect(server)
    slow.transport.pause_reading()
    waiting = asyncio.ensure_future(slow.ask(server.request(20_000, 2_000)))
    await idle(server)
    answers = await hammer(server, server.request(1), 1, 3)
    slow.transport.abort()
    with contextlib.suppress(ConnectionError):
        await waiting
    return answers


def figures(answers: list[Answer]) -> dict[str, float]:
    seconds = [answer.seconds for answer in answers]
    return {"calls answered": len(answers), "p50 ms": quantile(seconds, 0.5) * 1e3, "p99 ms": quantile(seconds, 0.99) * 1e3}


if __name__ == "__main__":
    with daemon() as server:
        alone = asyncio.run(hammer(server, server.request(1), 1, 3))
        together = asyncio.run(beside(server))
        report("Calls beside a client that does not read", {"with it": figures(together), "without": figures(alone)})
