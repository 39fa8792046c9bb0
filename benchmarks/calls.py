"""What a call costs that is answered by one short message: 16 clients at once, then one after the other. Against a plain web server."""

import asyncio

from harness import Server, daemon, hammer, plain, quantile, report


def measure(server: Server) -> dict[str, float]:
    request = server.request(1)
    asyncio.run(hammer(server, request, 16, 1))  # warm
    before = server.cpu()
    many = asyncio.run(hammer(server, request, 16, 5))
    used = server.cpu() - before
    alone = asyncio.run(hammer(server, request, 1, 3))
    if any(answer.events != 1 for answer in many + alone):
        raise RuntimeError("an answer is not one message")
    return {
        "CPU µs per call": used / len(many) * 1e6,
        "calls per second": len(many) / 5,
        "16 clients, p99 ms": quantile([answer.seconds for answer in many], 0.99) * 1e3,
        "1 client, p50 ms": quantile([answer.seconds for answer in alone], 0.5) * 1e3,
        "1 client, p99 ms": quantile([answer.seconds for answer in alone], 0.99) * 1e3,
    }


if __name__ == "__main__":
    with daemon() as one, plain() as other:
        report("A small call", {server.name: measure(server) for server in (one, other)})
