"""Watches a run from beside it: capacity, progress, and what the parent process holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from pool import WorkerPool
from pool.cli.stress.measured import Availability, Footprint
from pool.usage import open_descriptors, own_usage

PERIOD = 0.02
"""Seconds between looks at the pool; a look takes some 40 microseconds."""


@asynccontextmanager
async def watching(pool: WorkerPool, on_look: Callable[[], None]) -> AsyncIterator[Availability]:
    """Measure how many workers serve while the block runs; call `on_look` each time, and last."""
    available = Availability(pool.stats().size)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_look_again_and_again, pool, available, on_look)
        yield available
        tasks.cancel_scope.cancel()
    on_look()


async def _look_again_and_again(
    pool: WorkerPool, available: Availability, on_look: Callable[[], None]
) -> None:
    now = asyncio.get_running_loop().time
    while True:
        stats = pool.stats()
        available.see(now(), stats.idle + stats.busy)
        on_look()
        await asyncio.sleep(PERIOD)


def footprint() -> Footprint:
    """What this process holds at this moment."""
    return Footprint(
        rss_mb=round(own_usage().resident / 1e6, 1),
        descriptors=open_descriptors(),
        tasks=len(asyncio.all_tasks()),
    )
