"""A pool that serves is made larger and smaller."""

from __future__ import annotations

import asyncio

import pytest

from pool import SyncWorkerPool
from tests.contract.pools import LAUNCHERS, WAYS, make_pool, until


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_more_workers_serve_who_waits_already(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        await pool.wait_ready()
        calls = [asyncio.create_task(pool.call("asleep", {"seconds": 30})) for _ in range(3)]
        await until(pool, lambda stats: stats.waiting == 2)
        pool.resize(3)
        stats = await until(pool, lambda stats: stats.busy == 3)
        assert (stats.size, stats.overflow, stats.waiting) == (3, 0, 0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


@pytest.mark.parametrize("launcher", WAYS)
async def test_whoever_is_too_many_finishes_its_call_and_goes(launcher: str) -> None:
    async with make_pool(launcher, size=3) as pool:
        await pool.wait_ready()
        call = asyncio.create_task(pool.call("asleep", {"seconds": 1.5}))
        await until(pool, lambda stats: stats.busy == 1)
        pool.resize(1)
        stats = await until(pool, lambda stats: stats.total == 1)
        assert (stats.busy, stats.worker_exits) == (1, {"unwanted": 2})
        assert await call == {"slept": 1.5}
        assert pool.stats().calls == {"ok": 1}
        await pool.wait_ready()


@pytest.mark.parametrize("size", [0, 1, -1])
async def test_a_size_that_cannot_be_is_refused_and_changes_nothing(size: int) -> None:
    async with make_pool("spawn", size=3, min_ready=2) as pool:
        with pytest.raises(ValueError, match="size"):
            pool.resize(size)
        assert pool.stats().size == 3


def test_from_synchronous_code() -> None:
    with SyncWorkerPool("bridge.echo", size=1) as pool:
        pool.resize(2, overflow=1)
        stats = pool.stats()
        assert (stats.size, stats.overflow) == (2, 1)
