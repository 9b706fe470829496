"""`loop.add_reader` and `os.write`, JSON, one future for each call."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import Any

import msgspec

from benchmarks.limits.child import HEADER, READ
from benchmarks.limits.starting import start


class Reader:
    """One child; its replies come in the order of the requests."""

    def __init__(self, kind: str, job: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._child = start(job, kind)
        self._data = bytearray()
        self._unsent = memoryview(b"")
        self._waiting: deque[asyncio.Future[Any]] = deque()
        os.set_blocking(self._child.read_fd, False)
        os.set_blocking(self._child.write_fd, False)
        self._loop.add_reader(self._child.read_fd, self._read)

    def ask(self, value: Any) -> asyncio.Future[Any]:
        payload = msgspec.json.encode(value)
        future = self._loop.create_future()
        self._waiting.append(future)
        self._unsent = memoryview(HEADER.pack(len(payload)) + payload)
        self._write()
        return future

    def _write(self) -> None:
        with suppress(BlockingIOError):
            self._unsent = self._unsent[os.write(self._child.write_fd, self._unsent) :]
        if self._unsent:
            self._loop.add_writer(self._child.write_fd, self._write_rest)

    def _write_rest(self) -> None:
        self._loop.remove_writer(self._child.write_fd)
        self._write()

    def _read(self) -> None:
        data = self._data
        data += os.read(self._child.read_fd, READ)
        while len(data) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(data)[0]
            if len(data) < end:
                return
            with memoryview(data) as view:
                reply = msgspec.json.decode(view[HEADER.size : end])
            del data[:end]
            self._waiting.popleft().set_result(reply)

    def close(self) -> None:
        self._loop.remove_reader(self._child.read_fd)
        self._child.close()


class Readers:
    """A call takes an idle child, or waits for one."""

    def __init__(self, kind: str, backend: str = "asyncio") -> None:
        self.backend = backend
        self._kind = kind

    async def start(self, size: int, job: str) -> None:
        self._children = [Reader(self._kind, job) for _ in range(size)]
        self._idle: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()
        for child in self._children:
            self._idle.put_nowait(child)

    async def alone(self, value: Any) -> Any:
        return await self._children[0].ask(value)

    async def call(self, value: Any) -> Any:
        child = await self._idle.get()
        reply = await child.ask(value)
        self._idle.put_nowait(child)
        return reply

    async def close(self) -> None:
        for child in self._children:
            child.close()
