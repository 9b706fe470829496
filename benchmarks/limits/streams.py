"""asyncio's subprocesses and streams, JSON."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from typing import Any

import msgspec

from benchmarks.limits.child import HEADER
from benchmarks.limits.starting import command


class Streams:
    """A call takes an idle child, or waits for one."""

    def __init__(self, backend: str = "asyncio") -> None:
        self.backend = backend

    async def start(self, size: int, job: str) -> None:
        make = asyncio.create_subprocess_exec
        self._children = [await make(*command(job), stdin=PIPE, stdout=PIPE) for _ in range(size)]
        self._idle: asyncio.LifoQueue[Process] = asyncio.LifoQueue()
        for child in self._children:
            self._idle.put_nowait(child)

    async def alone(self, value: Any) -> Any:
        return await _ask(self._children[0], value)

    async def call(self, value: Any) -> Any:
        child = await self._idle.get()
        reply = await _ask(child, value)
        self._idle.put_nowait(child)
        return reply

    async def close(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
            await child.wait()


async def _ask(child: Process, value: Any) -> Any:
    assert child.stdin is not None
    assert child.stdout is not None
    payload = msgspec.json.encode(value)
    child.stdin.write(HEADER.pack(len(payload)) + payload)
    (length,) = HEADER.unpack(await child.stdout.readexactly(HEADER.size))
    return msgspec.json.decode(await child.stdout.readexactly(length))
