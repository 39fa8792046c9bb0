"""
One line of a plugin made one event of a client, without any I/O: the payload's own bytes spliced in, against decoding and encoding it.

The second column is what one would write first, with the json of the standard library.
"""

import json
import time
from collections.abc import Callable, Iterable

from difyd.wire.events import decode_event
from difyd.wire.lines import LineBuffer
from difyd.wire.text import clean
from harness import report

PAYLOADS = {
    "short message": {"type": "text", "message": {"text": "hello there"}, "meta": None},
    "model chunk": {
        "model": "m",
        "system_fingerprint": None,
        "prompt_messages": [],
        "delta": {
            "index": 0,
            "message": {"role": "assistant", "content": "hello there", "name": None, "tool_calls": []},
            "usage": None,
            "finish_reason": None,
        },
    },
    "20 KiB of JSON": {
        "type": "json",
        "message": {"json_object": {"rows": [{"id": n, "name": f"row {n}", "score": n / 7} for n in range(420)]}},
    },
}
SEGMENT = 65536


def spliced(segments: Iterable[bytes]) -> int:
    lines, written = LineBuffer(5 << 20), 0
    for segment in segments:
        for line in lines.feed(segment):
            event = decode_event(clean(line))
            written += len(b'data: {"code":0,"message":"success","data":%b}\n\n' % bytes(event.data.data))
    return written


def rebuilt(segments: Iterable[bytes]) -> int:
    held, written = b"", 0
    for segment in segments:
        *lines, held = (held + segment).split(b"\n")
        for line in lines:
            event = json.loads(line)
            answer = {"code": 0, "message": "success", "data": event["data"]["data"]}
            written += len(b"data: %b\n\n" % json.dumps(answer, ensure_ascii=False).encode())
    return written


def microseconds(convert: Callable[[Iterable[bytes]], int], payload: object) -> float:
    line = json.dumps({"event": "session", "session_id": "5b0f" * 9, "data": {"type": "stream", "data": payload}}).encode() + b"\n"
    count = max(1, (8 << 20) // len(line))
    stream = line * count
    segments = [stream[start : start + SEGMENT] for start in range(0, len(stream), SEGMENT)]
    best = float("inf")
    for _ in range(5):
        before = time.process_time()
        convert(segments)
        best = min(best, time.process_time() - before)
    return best / count * 1e6


if __name__ == "__main__":
    ways = {"difyd": spliced, "json, rebuilt": rebuilt}
    report("µs of CPU per line", {name: {what: microseconds(way, load) for what, load in PAYLOADS.items()} for name, way in ways.items()})
