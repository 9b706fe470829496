"""Watches a run from beside it: capacity, progress, and what the parent process holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from pool import WorkerPool
from pool.cli.stress.measured import Availability, Footprint

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
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # one reads the folder
    return Footprint(
        rss_mb=round(resident_pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
        descriptors=descriptors,
        tasks=len(asyncio.all_tasks()),
    )
