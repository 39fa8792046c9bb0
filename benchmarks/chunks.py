"""What a streamed message costs, in one long stream and in 64 streams at once. Against a plain web server that writes the same."""

import asyncio

from harness import Answer, Server, connect, daemon, plain, report


async def streams(server: Server, number: int, messages: int) -> list[Answer]:
    connections = [await connect(server) for _ in range(number)]
    answers = await asyncio.gather(*(connection.ask(server.request(messages)) for connection in connections))
    for connection in connections:
        connection.transport.abort()
    return answers


def measure(server: Server) -> dict[str, float]:
    figures = {}
    for what, number, messages in ("1 stream", 1, 50_000), ("64 streams", 64, 1_000):
        asyncio.run(streams(server, number, 100))  # warm
        before = server.cpu()
        answers = asyncio.run(streams(server, number, messages))
        used = server.cpu() - before
        if any(answer.events != messages for answer in answers):
            raise RuntimeError("messages are missing")
        figures[f"{what}, CPU µs per message"] = used / number / messages * 1e6
        figures[f"{what}, messages/s"] = number * messages / max(answer.seconds for answer in answers)
    return figures


if __name__ == "__main__":
    with daemon() as one, plain() as other:
        report("A streamed message", {server.name: measure(server) for server in (one, other)})
