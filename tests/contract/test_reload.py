"""`reload()`: fresh code, one worker at a time, no call lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pool import EnvironmentInvalid, PoolClosed, WorkerPool, WorkerStartError
from tests.contract.pools import until
from tests.processes import children

CODE = """
import os, time
from bridge import Bridge
bridge = Bridge()

@bridge.on_start
def start():
    {start}

@bridge.command
def version(seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return {version}

@bridge.command
def variable() -> str:
    return os.environ.get("BRIDGEPOOL_TEST_VALUE", "")
"""
METHODS = ["forkserver", "spawn"]


class Deployed:
    """A bridge on disk that can be changed while a pool runs it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "deployed.py"
        self.write(version=1)

    def write(self, *, version: int, start: str = "pass") -> None:
        self.path.write_text(CODE.format(version=version, start=start))

    @asynccontextmanager
    async def pool(self, method: Any, **options: Any) -> AsyncIterator[WorkerPool]:
        env = {"PYTHONPATH": str(self.path.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        options = {"size": 3, "start_method": method, "env": env, "grace_period": 2.0, **options}
        async with WorkerPool("deployed", **options) as pool:
            yield pool


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path)


@pytest.mark.parametrize("method", METHODS)
async def test_no_call_is_lost_and_capacity_hardly_dips(deployed: Deployed, method: str) -> None:
    versions: list[int] = []
    done = asyncio.Event()

    async def call_all_the_time(pool: WorkerPool) -> None:
        while not done.is_set():
            versions.append(await pool.call("version", {"seconds": 0.002}))

    async def watch(pool: WorkerPool) -> None:
        while not done.is_set():
            stats = pool.stats()
            serving.append(stats.idle + stats.busy)
            assert stats.total <= 4
            await asyncio.sleep(0)

    serving: list[int] = []
    async with deployed.pool(method) as pool:
        await pool.wait_ready()
        before = {worker.pid for worker in pool.stats().workers}
        callers = [asyncio.create_task(call_all_the_time(pool)) for _ in range(6)]
        callers.append(asyncio.create_task(watch(pool)))
        deployed.write(version=2)
        await pool.reload()
        assert await pool.call("version") == 2
        stats = pool.stats()
        done.set()
        await asyncio.gather(*callers)
        assert stats.generation == 2
        assert {worker.generation for worker in stats.workers} == {2}
        assert not {worker.pid for worker in stats.workers} & before
        assert stats.worker_exits == {"reload": 3}
        assert stats.validations == {"ok": 2}
    assert min(serving) >= 2
    assert set(versions) == {1, 2}


@pytest.mark.parametrize("method", METHODS)
async def test_the_environment_is_as_fresh_as_the_code(
    deployed: Deployed, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployed.pool(method, size=1) as pool:
        assert await pool.call("variable") == ""
        monkeypatch.setenv("BRIDGEPOOL_TEST_VALUE", "new")
        await pool.reload()
        assert await pool.call("variable") == "new"


async def test_code_that_cannot_be_imported_changes_nothing(deployed: Deployed) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        before = pool.stats().workers
        deployed.path.write_text("1 / 0")
        with pytest.raises(EnvironmentInvalid, match="ZeroDivisionError"):
            await pool.reload()
        assert [w.pid for w in pool.stats().workers] == [w.pid for w in before]
        os.kill(before[0].pid or 0, signal.SIGKILL)
        await until(pool, lambda stats: stats.worker_starts == 4 and stats.idle == 3)
        assert [await pool.call("version") for _ in range(6)] == [1] * 6


async def test_code_that_cannot_start_leaves_the_old_in_service_and_in_use(
    deployed: Deployed,
) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        for _ in range(3):
            await pool.call("version")
        deployed.write(version=2, start="1 / 0")
        with pytest.raises(WorkerStartError, match="ZeroDivisionError"):
            await pool.reload()
        stats = pool.stats()
        assert (stats.idle, stats.generation) == (3, 1)
        os.kill(stats.workers[0].pid or 0, signal.SIGKILL)
        await until(pool, lambda stats: stats.worker_starts == 5 and stats.idle == 3)
        assert {worker.generation for worker in pool.stats().workers} == {1}
        deployed.write(version=3)
        await pool.reload()
        assert await pool.call("version") == 3


async def test_a_worker_at_work_finishes_its_call_first(deployed: Deployed) -> None:
    async with deployed.pool("forkserver", size=1) as pool:
        async with pool.checkout() as worker:
            assert await worker.call("version") == 1
            deployed.write(version=2)
            reloading = asyncio.create_task(pool.reload())
            await until(pool, lambda stats: stats.idle == 1)
            assert await worker.call("version") == 1
            assert not reloading.done()
            assert await pool.call("version") == 2
        await reloading
        assert pool.stats().total == 1


async def test_reloads_that_are_asked_for_together_come_one_after_the_other(
    deployed: Deployed,
) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        await asyncio.gather(pool.reload(), pool.reload(), pool.reload())
        assert pool.stats().generation == 4
        assert {worker.generation for worker in pool.stats().workers} == {4}


async def test_a_reload_of_a_pool_that_has_no_workers_is_a_validation(
    deployed: Deployed,
) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.reload()
        assert (pool.stats().total, pool.stats().validations) == (0, {"ok": 1})
        assert await pool.call("version") == 1
        assert pool.stats().validations == {"ok": 1}


async def test_a_pool_in_a_crash_loop_is_mended_by_a_reload(deployed: Deployed) -> None:
    deployed.write(version=1, start="1 / 0")
    async with deployed.pool("forkserver", max_restarts=0) as pool:
        with pytest.raises(WorkerStartError):
            await pool.call("version")
        deployed.write(version=2)
        await pool.reload()
        assert await pool.call("version") == 2


async def test_a_reload_that_is_cancelled_leaves_a_whole_pool(deployed: Deployed) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        deployed.write(version=2, start="time.sleep(600)")
        reloading = asyncio.create_task(pool.reload())
        await until(pool, lambda stats: stats.starting == 1)
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
        stats = await until(pool, lambda stats: stats.total == 3)
        assert (stats.idle, stats.worker_exits) == (3, {"unwanted": 1})


async def test_a_reload_ends_with_the_pool(deployed: Deployed) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        deployed.write(version=2, start="time.sleep(600)")
        reloading = asyncio.create_task(pool.reload())
        await until(pool, lambda stats: stats.starting == 1)
        await pool.aclose()
        with pytest.raises(PoolClosed):
            await reloading
        with pytest.raises(PoolClosed):
            await pool.reload()


async def test_a_worker_lost_while_the_new_code_is_imported_is_replaced_from_the_old(
    deployed: Deployed,
) -> None:
    async with deployed.pool("forkserver") as pool:
        await pool.wait_ready()
        for _ in range(3):
            await pool.call("version")
        victim = pool.stats().workers[0]
        deployed.path.write_text("import time; time.sleep(600)")
        reloading = asyncio.create_task(pool.reload())
        await until(pool, lambda _: len(children()) == 2)
        os.kill(victim.pid or 0, signal.SIGKILL)
        await until(pool, lambda stats: stats.worker_starts == 4 and stats.idle == 3)
        assert not reloading.done()
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
