"""Workers are replaced by calls, age and memory, and no call and no capacity is lost over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pool import PoolStats, WorkerPool
from pool.worker.worker import Worker
from tests.contract.pools import WAYS, make_pool, until

MEGABYTE = 1024 * 1024


class Watched:
    """Calls a pool all the time, and looks at it at every turn of the loop."""

    def __init__(self, pool: WorkerPool, callers: int = 6) -> None:
        self._pool = pool
        self._callers = callers
        self._done = asyncio.Event()
        self.calls = 0
        self.least = 99
        self.most = 0

    async def until(self, condition: Callable[[PoolStats], bool]) -> PoolStats:
        await self._pool.wait_ready()
        tasks = [asyncio.create_task(self._call()) for _ in range(self._callers)]
        tasks.append(asyncio.create_task(self._look()))
        stats = await until(self._pool, condition)
        self._done.set()
        await asyncio.gather(*tasks)
        return stats

    async def _call(self) -> None:
        while not self._done.is_set():
            await self._pool.call("echo", {"n": self.calls})
            self.calls += 1

    async def _look(self) -> None:
        while not self._done.is_set():
            stats = self._pool.stats()
            self.least = min(self.least, stats.idle + stats.busy)
            self.most = max(self.most, stats.total)
            await asyncio.sleep(0)


@pytest.mark.parametrize("launcher", WAYS)
@pytest.mark.parametrize(
    ("setting", "reason"),
    [({"max_calls": 50}, "recycled_calls"), ({"max_age": 0.4}, "recycled_age")],
)
async def test_no_call_fails_and_capacity_never_dips(
    launcher: str, setting: dict[str, Any], reason: str
) -> None:
    async with make_pool(launcher, **setting) as pool:
        watched = Watched(pool)
        stats = await watched.until(lambda stats: stats.worker_exits.get(reason, 0) >= 4)
    assert set(stats.worker_exits) == {reason}
    assert (watched.least, watched.most) == (2, 3)
    assert stats.replacements == stats.failed_starts == 0
    assert stats.calls.keys() == {"ok"}


@pytest.mark.parametrize("launcher", WAYS)
async def test_the_old_one_serves_until_the_new_one_is_ready(launcher: str) -> None:
    slow = {"slow_start": 0.3}
    pool = make_pool(launcher, "bridge.faulty", size=1, max_calls=1, options=slow)
    async with pool:
        first = await pool.call("pid")
        stats = await until(pool, lambda stats: stats.starting == 1)
        assert (stats.idle, stats.total) == (1, 2)
        assert await pool.call("pid") == first
        await until(pool, lambda stats: stats.worker_exits == {"recycled_calls": 1})
        assert (await pool.call("pid"))["pid"] != first["pid"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
async def test_a_worker_that_leaks_is_replaced(method: str) -> None:
    limit = 90 * MEGABYTE
    async with make_pool(method, "bridge.faulty", size=1, max_memory=limit) as pool:
        (worker,) = await _workers(pool)
        while pool.stats().worker_exits == {}:
            await pool.call("leak", {"megabytes": 10})
        stats = await until(pool, lambda stats: stats.total == 1 and stats.idle == 1)
        # A busy machine takes a while to end it: the next one may have been filled meanwhile.
        assert stats.worker_exits.keys() == {"recycled_memory"}
        assert stats.workers[0].name != worker


async def _workers(pool: WorkerPool) -> list[str]:
    await pool.wait_ready()
    return [worker.name for worker in pool.stats().workers]


async def test_what_a_worker_shares_with_its_template_is_not_its_own() -> None:
    bridge = "tests.contract.big_template:bridge"
    async with make_pool("forkserver", bridge, size=1, max_memory=60 * MEGABYTE) as pool:
        assert await pool.call("size") >= 150 * MEGABYTE
        assert pool._supervisor is not None
        (worker,) = pool._supervisor.ledger.roster  # another one may start any moment from here on
        private = await _private_memory(worker)
        assert 0 < private < 40 * MEGABYTE
        await pool.call("dirty", {"megabytes": 80})
        assert await _private_memory(worker) > private + 70 * MEGABYTE
        await until(pool, lambda stats: stats.worker_exits == {"recycled_memory": 1})


async def _private_memory(worker: Worker) -> int:
    size = await worker.private_memory()
    assert size is not None
    return size
