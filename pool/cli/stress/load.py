"""Drives a pool with operations and measures them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from pool import BrokenWorkerError, PoolSaturated, RemoteError, RequestError, WorkerPool
from pool.cli.stress.measured import Measured, count_error, in_short
from pool.cli.stress.operations import Call, Operation

TICK = 0.001
"""Seconds that an open loop sleeps at least, as does epoll; then it starts all that is due."""

BATCH = 10
"""Operations started in one turn of the loop, at most: then the pool has its turn first."""

MAX_IN_FLIGHT = 20_000
"""Operations of an open loop that run at a time, some 9 KB each; then it falls behind its rate."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to offer. Times are in seconds.

    `operations` or `duration` ends it. Without a `rate` at most `concurrency`
    operations run at a time (closed loop); with one they start at that many
    per second whatever happens (open loop). `timeout` is for a whole
    operation, its retries included.
    """

    operations: int | None
    duration: float | None
    concurrency: int
    rate: float | None
    timeout: float
    retries: int
    seed: int


class LoadRun:
    """One run of a load against an open pool."""

    def __init__(
        self,
        pool: WorkerPool,
        load: Load,
        operation: Operation,
        inputs: list[dict[str, Any]],
    ) -> None:
        self.measured = Measured()
        self._pool = pool
        self._load = load
        self._operation = operation
        self._inputs = inputs
        self._random = Random(load.seed)
        self._now = asyncio.get_running_loop().time
        self._begin = self._now()
        self._ends_early = False

    def end(self) -> None:
        """Offer no more; `run` returns when what is under way has ended."""
        self._ends_early = True

    async def run(self) -> None:
        """Offer the whole load and return when all of it has ended."""
        self._begin = self._now()
        async with anyio.create_task_group() as tasks:
            if self._load.rate is None:
                for _ in range(self._load.concurrency):
                    tasks.start_soon(self._one_after_another)
            else:
                await self._start_at_rate(self._load.rate, tasks)
        self.measured.wall = self._now() - self._begin

    def _may_offer(self) -> bool:
        operations, duration = self._load.operations, self._load.duration
        too_many = operations is not None and self.measured.offered >= operations
        if too_many or self._ends_early:
            return False
        return duration is None or self._now() < self._begin + duration

    def _offer(self) -> None:
        self.measured.offered += 1
        self.measured.offering = self._now() - self._begin

    async def _one_after_another(self) -> None:
        while self._may_offer():
            self._offer()
            await self._operate(self._now())
            await asyncio.sleep(0)  # one that is refused at once has not suspended

    async def _start_at_rate(self, rate: float, tasks: TaskGroup) -> None:
        room = asyncio.Semaphore(MAX_IN_FLIGHT)
        while self._may_offer():
            for _ in range(self._due(rate)):
                await room.acquire()
                intended = self._begin + self.measured.offered / rate
                self._offer()
                tasks.start_soon(self._operate_late, intended, room)
            early = self._begin + self.measured.offered / rate - self._now()
            await asyncio.sleep(max(TICK, early) if early > 0 else 0)

    def _due(self, rate: float) -> int:
        """How many operations are to be started now."""
        due = int((self._now() - self._begin) * rate) + 1 - self.measured.offered
        if self._load.operations is not None:
            due = min(due, self._load.operations - self.measured.offered)
        return min(due, BATCH)

    async def _operate_late(self, intended: float, room: asyncio.Semaphore) -> None:
        self.measured.lags.add(self._now() - intended)
        try:
            await self._operate(intended)
        finally:
            room.release()

    async def _operate(self, intended: float) -> None:
        """Run an operation and count its outcome."""
        measured = self.measured
        try:
            await self._perform(self._random.choice(self._inputs))
        except PoolSaturated:
            measured.shed += 1
            measured.refusals.add(self._now() - intended)
        except Exception as error:  # a foreign bridge may answer anything
            name = _count(measured.errors, error)
            measured.causes.setdefault(name, in_short(str(error)))
        else:
            measured.successful += 1
            measured.latencies.add(self._now() - intended)
            if measured.first_result is None:
                measured.first_result = self._now() - self._begin

    async def _perform(self, inputs: Mapping[str, Any]) -> None:
        ends = self._now() + self._load.timeout
        if self._operation.keeps_worker:
            await self._on_one_worker(inputs, ends)
        else:
            await self._on_any_worker(inputs, ends)

    async def _on_any_worker(self, inputs: Mapping[str, Any], ends: float) -> None:
        """As most callers do it: `pool.call`, which makes lost calls again by itself."""
        retries = self._load.retries
        call = partial(self._pool.call, idempotent=retries > 0, attempts=retries + 1)
        try:
            await self._operation.run(self._counted(call, ends), inputs)
        except RequestError:
            self.measured.unasked += 1
            raise

    async def _on_one_worker(self, inputs: Mapping[str, Any], ends: float) -> None:
        """On a worker of its own, on another one if that was lost and retries are left."""
        for retries_left in reversed(range(self._load.retries + 1)):
            asked = self._now()
            try:
                async with self._pool.checkout(timeout=max(0.0, ends - asked)) as worker:
                    self.measured.waits.add(self._now() - asked)
                    await self._operation.run(self._counted(worker.call, ends), inputs)
                return
            except BrokenWorkerError:
                if not retries_left:
                    raise
                self.measured.retries += 1

    def _counted(self, call: Callable[..., Awaitable[Any]], ends: float) -> Call:
        """Make calls within what is left of the operation's time, and count their outcomes."""

        async def counted(command: str, args: Mapping[str, Any]) -> Any:
            try:
                result = await call(command, args, timeout=max(0.0, ends - self._now()))
            except BaseException as error:
                _count(self.measured.calls, error)
                raise
            self.measured.calls["ok"] += 1
            return result

        return counted


def _count(counts: Counter[str], error: BaseException) -> str:
    told = error.error_type if isinstance(error, RemoteError) else None
    return count_error(counts, type(error).__name__, told or "")
