"""
A plugin that speaks the line protocol by itself: so little of its own that what remains is the daemon.

The parameters of a call are `count` messages of `size` characters with a `pause` of seconds between them; a `size` of 0 sends the time.
"""

import asyncio
import json
import sys
import time


def write(event: str, session: str | None, data: object) -> None:
    sys.stdout.write(json.dumps({"event": event, "session_id": session, "data": data}) + "\n")


def message(session: str, text: str) -> None:
    write("session", session, {"type": "stream", "data": {"type": "text", "message": {"text": text}, "meta": None}})


async def answer(session: str, count: int, size: int, pause: float) -> None:
    text = "x" * size
    for number in range(count):
        if number and (pause or number % 16 == 0):
            await asyncio.sleep(pause)  # also without a pause, so that a long answer lets others go between
        message(session, text or str(time.time_ns()))
        if pause:
            sys.stdout.flush()
    write("session", session, {"type": "end", "data": {}})
    sys.stdout.flush()


async def beat() -> None:
    while True:
        write("heartbeat", None, {})
        sys.stdout.flush()
        await asyncio.sleep(5)


async def main() -> None:
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = {asyncio.ensure_future(beat())}
    while line := await lines.readline():
        request = json.loads(line)
        told = request["data"]["tool_parameters"]
        task = asyncio.ensure_future(answer(request["session_id"], told["count"], told["size"], told["pause"]))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
