"""Spares and idle workers: who is kept though nobody asks for them."""

from __future__ import annotations

import os
import signal

import pytest

from pool import BrokenWorkerError
from tests.contract.pools import make_pool, until

METHODS = ["forkserver", "spawn"]


@pytest.mark.parametrize("launcher", METHODS)
async def test_a_spare_takes_a_lost_workers_place_at_once(launcher: str) -> None:
    async with make_pool(launcher, size=2, spares=1) as pool:
        await pool.wait_ready()
        stats = await until(pool, lambda stats: stats.spare == 1)
        assert (stats.idle, stats.total) == (2, 3)
        (spare,) = [worker.pid for worker in stats.workers if worker.state == "spare"]
        async with pool.checkout() as first, pool.checkout() as second:
            assert spare not in (first.pid, second.pid)
            await first.call("echo")
            os.kill(first.pid or 0, signal.SIGKILL)
            with pytest.raises(BrokenWorkerError):
                await first.call("sleep", {"seconds": 60})
            async with pool.checkout(timeout=5) as third:
                assert third.pid == spare
        await until(pool, lambda stats: (stats.idle, stats.spare, stats.starting) == (2, 1, 0))


async def test_nothing_is_spared_before_anything_serves() -> None:
    async with make_pool("forkserver", spares=2) as pool:
        assert pool.stats().total == 0
        await pool.call("echo")
        stats = await until(pool, lambda stats: stats.spare == 2)
        assert (stats.idle, stats.total) == (1, 3)


async def test_a_spare_serves_when_there_is_more_to_do() -> None:
    async with make_pool("forkserver", size=2, spares=1) as pool:
        await pool.call("echo")
        stats = await until(pool, lambda stats: stats.spare == 1)
        spare = [worker.pid for worker in stats.workers if worker.state == "spare"]
        async with pool.checkout(), pool.checkout() as second:
            assert [second.pid] == spare
            await until(pool, lambda stats: stats.spare == 1)


async def test_a_lost_spare_is_replaced() -> None:
    async with make_pool("forkserver", size=1, spares=1, max_restarts=50) as pool:
        await pool.call("echo")
        stats = await until(pool, lambda stats: stats.spare == 1)
        (spare,) = [worker.pid for worker in stats.workers if worker.state == "spare"]
        os.kill(spare or 0, signal.SIGKILL)
        await until(pool, lambda s: s.spare == 1 and spare not in {w.pid for w in s.workers})


async def test_ordinary_workers_go_when_they_have_idled_and_their_spares_with_them() -> None:
    async with make_pool("forkserver", size=2, spares=1, idle_timeout=0.1) as pool:
        await pool.wait_ready()
        await until(pool, lambda stats: stats.total == 0)
        assert pool.stats().worker_exits == {"idle": 2, "unwanted": 1}
        assert await pool.call("echo") == {}


async def test_spares_are_reloaded_too() -> None:
    async with make_pool("forkserver", size=1, spares=1) as pool:
        await pool.call("echo")
        await until(pool, lambda stats: stats.spare == 1)
        await pool.reload()
        stats = pool.stats()
        assert (stats.idle, stats.spare, stats.total) == (1, 1, 2)
        assert {worker.generation for worker in stats.workers} == {2}
