"""Pools for the tests, over every launcher."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from pool import PoolStats, WorkerPool

LAUNCHERS = ["spawn", "forkserver", "argv"]
MANY = ", 8 calls"
WAYS = [*LAUNCHERS, *(launcher + MANY for launcher in LAUNCHERS)]
"""Each launcher with one call at a time on a worker, and with eight."""


def make_pool(launcher: str, bridge: str = "bridge.echo", **options: Any) -> WorkerPool:
    """A pool whose workers start in one of the `WAYS`: a start method, or a foreign executable."""
    launcher, many, _ = launcher.partition(MANY)
    options = {"size": 2, "grace_period": 2.0, "concurrency": 8 if many else 1, **options}
    if launcher == "argv":
        return WorkerPool(argv=[sys.executable, "-m", "bridge", bridge], **options)
    return WorkerPool(bridge, start_method=launcher, **options)  # type: ignore[arg-type]


async def until(pool: WorkerPool, condition: Callable[[PoolStats], bool]) -> PoolStats:
    """Let the loop turn until the pool is as wanted; the test's time limit bounds the wait."""
    while not condition(stats := pool.stats()):  # noqa: ASYNC110 - its counts are the event
        await asyncio.sleep(0.001)
    return stats
