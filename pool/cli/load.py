"""Drives a pool with operations and measures them."""

from __future__ import annotations

import asyncio
import os
import signal
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from pool import BrokenWorkerError, PoolSaturated, RemoteError, WorkerPool
from pool.cli.operations import Operation


@dataclass(frozen=True, slots=True)
class Load:
    """What to offer. Times are in seconds.

    `operations` or `duration` ends it. Without a `rate` at most `concurrency`
    operations run at a time (closed loop); with one they start at that many
    per second whatever happens (open loop).
    """

    operations: int | None
    duration: float | None
    concurrency: int
    rate: float | None
    timeout: float | None
    retries: int
    kill_every: float | None
    seed: int


@dataclass(slots=True)
class Measured:
    """What happened, in seconds.

    `latencies` are of what succeeded, from the intended start; `waits` of all
    that got a worker; `regains` from a kill until as many workers served as
    before.
    """

    operations: int = 0
    successful: int = 0
    shed: int = 0
    retries: int = 0
    kills: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    waits: array[float] = field(default_factory=lambda: array("d"))
    regains: array[float] = field(default_factory=lambda: array("d"))
    first_result: float | None = None
    wall: float = 0.0

    @property
    def failed(self) -> int:
        return self.errors.total()


class LoadRun:
    """One run of a load against an open pool. `on_progress` is called after each operation."""

    def __init__(
        self,
        pool: WorkerPool,
        load: Load,
        operation: Operation,
        inputs: list[dict[str, Any]],
        on_progress: Callable[[Measured], None],
    ) -> None:
        self._pool = pool
        self._load = load
        self._operation = operation
        self._inputs = inputs
        self._on_progress = on_progress
        self._random = Random(load.seed)
        self._now = asyncio.get_running_loop().time
        self._begin = self._now()
        self.measured = Measured()

    async def run(self) -> Measured:
        """Offer the whole load and return when all of it has ended."""
        self._begin = self._now()
        async with anyio.create_task_group() as kills, anyio.create_task_group() as killer:
            if self._load.kill_every is not None:
                killer.start_soon(self._kill_now_and_then, self._load.kill_every, kills)
            await self._offer()
            self.measured.wall = self._now() - self._begin
            killer.cancel_scope.cancel()
        return self.measured

    async def _offer(self) -> None:
        async with anyio.create_task_group() as tasks:
            free = asyncio.Semaphore(self._load.concurrency)
            async for intended in self._starts(free):
                tasks.start_soon(self._operate, intended, free)

    async def _starts(self, free: asyncio.Semaphore) -> AsyncIterator[float]:
        """The intended instant of each operation, at that instant or when there is room for it."""
        number = 0
        while self._load.operations is None or number < self._load.operations:
            intended = self._now()
            if self._load.rate is None:
                await free.acquire()
                intended = self._now()
            else:
                intended = self._begin + number / self._load.rate
                await asyncio.sleep(max(0.0, intended - self._now()))
            if self._load.duration is not None and self._now() >= self._begin + self._load.duration:
                return
            number += 1
            yield intended

    async def _operate(self, intended: float, free: asyncio.Semaphore) -> None:
        measured = self.measured
        inputs = self._random.choice(self._inputs)
        try:
            await self._try_until_done(inputs)
        except PoolSaturated:
            measured.shed += 1
        except Exception as error:  # a foreign bridge may answer anything
            measured.errors[_name_of(error)] += 1
        else:
            measured.successful += 1
            measured.latencies.append(self._now() - intended)
            if measured.first_result is None:
                measured.first_result = self._now() - self._begin
        finally:
            free.release()
        measured.operations += 1
        self._on_progress(measured)

    async def _try_until_done(self, inputs: Mapping[str, Any]) -> None:
        """Run the operation, again if its worker was lost and retries are left."""
        for retries_left in reversed(range(self._load.retries + 1)):
            asked = self._now()
            try:
                async with self._pool.checkout(timeout=self._load.timeout) as worker:
                    self.measured.waits.append(self._now() - asked)
                    await self._operation.run(worker, inputs, self._load.timeout)
                return
            except BrokenWorkerError:
                if not retries_left:
                    raise
                self.measured.retries += 1

    async def _kill_now_and_then(self, seconds: float, tasks: TaskGroup) -> None:
        """SIGKILL a random worker in service, again and again."""
        while True:
            await asyncio.sleep(seconds)
            stats = self._pool.stats()
            serving = [w.pid for w in stats.workers if w.pid and w.state in ("idle", "busy")]
            if serving:
                victim = self._random.choice(serving)
                tasks.start_soon(self._kill, victim, min(stats.size, len(serving)))

    async def _kill(self, pid: int, served: int) -> None:
        """Kill one worker and measure how long it takes until as many serve as before."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        os.kill(pid, signal.SIGKILL)
        killed = self._now()
        self.measured.kills += 1
        await _readable(pidfd)
        os.close(pidfd)
        # The pool sees the end of the pipe in the same turn of the loop; let it act on it.
        await asyncio.sleep(0)
        await self._pool.wait_ready(served)
        self.measured.regains.append(self._now() - killed)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(fd)


def _name_of(error: Exception) -> str:
    if isinstance(error, RemoteError) and error.error_type:
        return f"RemoteError:{error.error_type}"
    return type(error).__name__
