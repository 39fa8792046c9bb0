"""
What a plugin's own calls cost: a value that it keeps, against a small call; a chunk carried from Dify to it, against one that it streams.

Dify is played by this process: one model answer of many chunks.
"""

import asyncio
import json
import re
import socket
from contextlib import suppress

from difyd.wire.frames import HEADER, HEADER_LENGTH, MAGIC
from harness import Server, connect, daemon, hammer, report

CHUNKS = 20_000
SETS = 1_000
MESSAGE = {"role": "assistant", "content": "hello there", "name": "", "tool_calls": []}
DELTA = {"index": 0, "message": MESSAGE, "usage": None, "finish_reason": None}
JSON = json.dumps({"data": {"model": "m", "prompt_messages": [], "system_fingerprint": "", "delta": DELTA}, "error": ""}).encode()
FRAME = HEADER.pack(MAGIC, HEADER_LENGTH, len(JSON)) + JSON


async def dify(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request after the other with the same stream."""
    with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # the daemon keeps its connection to the end
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % (CHUNKS * len(FRAME)))
            for _ in range(CHUNKS // 100):
                writer.write(FRAME * 100)
                await writer.drain()
    writer.close()


async def responses(server: Server, request: bytes, calls: int) -> int:
    """How many responses `calls` plugin calls at once got from Dify in all."""
    seen = bytearray()
    connections = [await connect(server, seen.extend) for _ in range(calls)]
    await asyncio.gather(*(connection.ask(request) for connection in connections))
    for connection in connections:
        connection.transport.abort()
    return sum(map(int, re.findall(rb"(\d+) responses", seen)))


async def stored(server: Server) -> float:
    """CPU µs of a value of 1,000 bytes that the plugin keeps, ten calls at once."""
    before = server.cpu()
    got = await responses(server, server.request(SETS // 10, 1000, ask="storage"), 10)
    if got != SETS:
        raise RuntimeError(f"{got} of {SETS} values were stored")
    return (server.cpu() - before) / SETS * 1e6


async def called(server: Server) -> float:
    before = server.cpu()
    answers = await hammer(server, server.request(1), 16, 4)
    return (server.cpu() - before) / len(answers) * 1e6


async def carried(server: Server, port: int) -> float:
    async with await asyncio.start_server(dify, "127.0.0.1", port):
        before = server.cpu()
        got = await responses(server, server.request(1, ask="llm"), 1)
        if got != CHUNKS:
            raise RuntimeError(f"{got} of {CHUNKS} chunks arrived")
        return (server.cpu() - before) / CHUNKS * 1e6


async def streamed(server: Server) -> float:
    before = server.cpu()
    connection = await connect(server)
    await connection.ask(server.request(CHUNKS))
    connection.transport.abort()
    return (server.cpu() - before) / CHUNKS * 1e6


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with daemon(DIFY_INNER_API_URL=f"http://127.0.0.1:{port}") as server:
        what = "CPU \u00b5s"
        report("Plugin storage", {"value kept": {what: asyncio.run(stored(server))}, "small call": {what: asyncio.run(called(server))}})
        chunk = {"chunk from Dify": {what: asyncio.run(carried(server, port))}, "chunk to client": {what: asyncio.run(streamed(server))}}
        report("Chunks", chunk)


if __name__ == "__main__":
    main()
