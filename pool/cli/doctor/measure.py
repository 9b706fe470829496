"""Makes a cold start, to see what it takes."""

from __future__ import annotations

from collections.abc import Sequence

from pool.cli.doctor.steps import KINDS, ColdStart, cold_start
from pool.config import PoolOptions
from pool.pool import WorkerPool
from pool.telemetry.events import Event


async def measure(target: str, settings: PoolOptions) -> ColdStart:
    """Start a pool of one, check its worker out, and have it answer a `ping`.

    Raises the `PoolError` that keeps it from that.
    """
    only_one: PoolOptions = {**settings, "size": 1, "max_restarts": 0}
    pool = WorkerPool(target, **only_one)
    heard: list[Event] = []

    def hear(events: Sequence[Event]) -> None:
        heard.extend(events)

    pool.listen(hear, KINDS)
    async with pool:
        async with pool.checkout(timeout=None) as worker:  # the start has its own timeout
            await worker.call("ping")
        forked = pool.stats().start_method == "forkserver"
    return cold_start(heard, forked=forked)
