"""
A plugin that speaks the line protocol by itself: so little of its own that what remains is the daemon.

The parameters of a call are `count` messages of `size` characters with a `pause` of seconds between them; a `size` of 0 sends the time.
With `ask`, the plugin calls Dify instead, `count` times one after the other, and answers with the number of responses it got: `storage` keeps a
value of `size` bytes, `llm` asks for a model's answer.
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


waiting: dict[str, "asyncio.Queue[dict]"] = {}


async def call_back(session: str, kind: str, count: int, size: int) -> None:
    model = {"provider": "p", "model": "m", "model_type": "llm", "mode": "chat", "completion_params": {}}
    llm = {**model, "prompt_messages": [], "tools": [], "stop": [], "stream": True}
    responses = 0
    for number in range(count):
        key = f"{session}-{number}"
        request = {"opt": "set", "key": f"k{number % 10}", "value": "ab" * size} if kind == "storage" else llm
        answers = waiting[key] = asyncio.Queue()
        write("session", session, {"type": "invoke", "data": {"type": kind, "backwards_request_id": key, "request": request}})
        sys.stdout.flush()
        while (told := await answers.get())["event"] != "end":
            if told["event"] == "error":
                write("session", session, {"type": "error", "data": {"error_type": "Refused", "message": told["message"], "args": {}}})
                sys.stdout.flush()
                return
            responses += 1
        del waiting[key]
    message(session, f"{responses} responses")
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
        if request["event"] == "backwards_response":
            waiting[request["data"]["backwards_request_id"]].put_nowait(request["data"])
            continue
        told = request["data"]["tool_parameters"]
        if told.get("ask"):
            work = call_back(request["session_id"], told["ask"], told["count"], told["size"])
        else:
            work = answer(request["session_id"], told["count"], told["size"], told["pause"])
        task = asyncio.ensure_future(work)
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
