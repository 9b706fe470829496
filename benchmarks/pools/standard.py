"""The standard library; workers are spawned, as is safe beside threads, where nothing is said."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.jobs import JOBS
from benchmarks.pools.futures import Callbacks, Futures

SPAWN = multiprocessing.get_context("spawn")


def executor(method: str) -> Futures:
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["benchmarks.jobs"])
    return Futures(
        lambda size: ProcessPoolExecutor(size, context),
        lambda pool, job, value: pool.submit(job, value),
        lambda pool: pool.shutdown(),
    )


def pool() -> Callbacks:
    return Callbacks(SPAWN.Pool)


def _serve(job: str, connection: Connection) -> None:
    while True:
        connection.send(JOBS[job](connection.recv()))


class Connections:
    """A pair of connections to each process, by hand: nothing notices a lost one."""

    backend = "asyncio"

    async def start(self, size: int, job: str) -> None:
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._processes = []
        for _ in range(size):
            self._connection, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=_serve, args=(job, theirs), daemon=True)
            process.start()
            self._processes.append(process)
            self._idle.put_nowait(self._connection)

    async def alone(self, value: Any) -> Any:
        self._connection.send(value)
        return self._connection.recv()

    async def call(self, value: Any) -> Any:
        loop = asyncio.get_running_loop()
        connection = await self._idle.get()
        readable = loop.create_future()
        loop.add_reader(connection.fileno(), readable.set_result, None)
        connection.send(value)
        await readable
        loop.remove_reader(connection.fileno())
        reply = connection.recv()
        self._idle.put_nowait(connection)
        return reply

    async def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
