"""An LM over HTTP on loopback, in a process of its own: `python -m benchmarks.provider LATENCY`.

It answers a DSPy prompt for `question -> answer` LATENCY seconds after it came, any number at a
time, over connections that stay open, and counts. The first line of its output is its port.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ASKED = rb"[[ ## question ## ]]\n"
_END = rb"\n\n"


def answer_to(question: str) -> str:
    return f"the answer to {question}"


class Provider:
    """The process, as its parent sees it."""

    def __init__(self, latency: float) -> None:
        self._latency = latency

    async def start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.provider", str(self._latency)]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*command, stdout=pipe)
        assert self._process.stdout is not None
        self._port = int(await self._process.stdout.readline())

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def requests(self) -> int:
        """How many requests have come so far."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /requests HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        count = int(await reader.readexactly(12))
        writer.close()
        await writer.wait_closed()
        return count

    async def close(self) -> None:
        self._process.kill()
        await self._process.wait()


class _Served:
    """What all connections share."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = 0


class _Connection(asyncio.Protocol):
    """One request at a time, as HTTP/1.1 clients that do not pipeline send them."""

    def __init__(self, served: _Served) -> None:
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is None:
            self._data = b""
            self._send(b"%12d" % self._served.requests)
        elif len(body) >= int(length[1]):
            self._data = b""
            self._served.requests += 1
            self._loop.call_later(self._served.latency, self._send, _completion(body))

    def _send(self, payload: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head % len(payload) + payload)


def _completion(body: bytes) -> bytes:
    """Found in the JSON as it came: decoding it would take the most time of all."""
    question = body.rpartition(_ASKED)[2].partition(_END)[0].decode()
    content = f"[[ ## answer ## ]]\n{answer_to(question)}\n\n[[ ## completed ## ]]"
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return json.dumps(completion).encode()


async def serve(latency: float) -> None:
    served = _Served(latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(served), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
