"""Peers that the extra `bench` installs."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.jobs import JOBS
from benchmarks.pools.futures import Callbacks, Futures
from benchmarks.pools.standard import SPAWN


class AnyioProcesses:
    backend = "asyncio"

    async def start(self, size: int, job: str) -> None:
        from anyio import CapacityLimiter

        self._job = JOBS[job]
        self._limiter = CapacityLimiter(size)

    async def call(self, value: Any) -> Any:
        from anyio import to_process

        return await to_process.run_sync(self._job, value, limiter=self._limiter)

    alone = call

    async def close(self) -> None:
        pass  # its workers end with the event loop


class TrioProcesses:
    backend = "trio"

    async def start(self, size: int, job: str) -> None:
        import trio
        import trio_parallel

        self._run = trio_parallel.run_sync
        self._job = JOBS[job]
        self._limiter = trio.CapacityLimiter(size)

    async def call(self, value: Any) -> Any:
        return await self._run(self._job, value, limiter=self._limiter)

    alone = call

    async def close(self) -> None:
        pass  # as above


def pebble_pool() -> Futures:
    from pebble import ProcessPool

    def close(pool: Any) -> None:
        pool.stop()
        pool.join()

    return Futures(
        lambda size: ProcessPool(max_workers=size, context=SPAWN),
        lambda pool, job, value: pool.schedule(job, args=(value,)),
        close,
    )


def mpire_pool() -> Callbacks:
    from mpire import WorkerPool

    return Callbacks(lambda size: WorkerPool(n_jobs=size, start_method="spawn", keep_alive=True))


def loky_pool() -> Futures:
    """The reusable executor, asked for at each call: that is how a broken one is made anew.

    Asking blocks the event loop for as long as that takes.
    """
    from loky import get_reusable_executor

    return Futures(
        lambda size: partial(get_reusable_executor, max_workers=size),
        lambda executor, job, value: executor().submit(job, value),
        lambda executor: executor().shutdown(),
    )
