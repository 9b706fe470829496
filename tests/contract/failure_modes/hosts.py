"""What befalls the application and the machine, and what is deployed on it."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import tempfile
import time
from pathlib import Path

import pytest

from pool import WorkerPool
from tests.contract import test_hostile, test_orphans
from tests.contract.failure_modes import (
    SCENARIOS,
    ProvenBy,
    Shown,
    error_of,
    failing,
    faulty,
    shows,
)
from tests.contract.pools import until
from tests.contract.test_reload import Deployed

SCENARIOS["A bridge floods or sends garbage"] = ProvenBy(
    test_hostile.test_a_flood_ends_in_a_named_error
)

SCENARIOS["The application is killed"] = ProvenBy(
    test_orphans.test_nothing_is_left_two_seconds_after_the_parent_was_killed
)


@shows("The application forks")
async def forks() -> Shown:
    async with faulty() as pool:
        await pool.call("echo")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _tell_error_of_checkout(pool, writing)
        os.close(writing)
        error: BaseException = pickle.loads(os.read(reading, 65536))
        os.close(reading)
        await asyncio.to_thread(os.waitpid, child, 0)
        assert await pool.call("echo") == {}
        return Shown(error)


def _tell_error_of_checkout(pool: WorkerPool, writing: int) -> None:
    try:
        pool.checkout()
    except Exception as error:
        os.write(writing, pickle.dumps(error))
    finally:
        os._exit(0)


@shows("The application closes with calls under way")
async def closes() -> Shown:
    async with faulty() as pool:
        await pool.wait_ready()
        running = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
        await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
        waiting = asyncio.create_task(pool.call("echo"))
        await until(pool, lambda stats: stats.waiting == 1)
        closing = asyncio.create_task(pool.aclose())
        error = await error_of(waiting)
        assert type(await error_of(pool.call("echo"))) is type(error)
        assert await running == {"slept": 0.2}
        await closing
        return Shown(error)


@shows("A call outlasts the closing")
async def outlasts() -> Shown:
    async with faulty(grace_period=0.1) as pool:
        running = asyncio.create_task(pool.call("hang"))
        await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
        await pool.aclose()
        return Shown(await error_of(running))


@shows("New code is deployed")
async def deployed() -> Shown:
    with tempfile.TemporaryDirectory() as folder:
        code = Deployed(Path(folder))
        async with code.pool("forkserver", size=1) as pool:
            assert await pool.call("version") == 1
            code.write(version=2)
            await pool.reload()
            assert await pool.call("version") == 2
            return Shown(stats=pool.stats())


@shows("New code is broken")
async def broken() -> Shown:
    with tempfile.TemporaryDirectory() as folder:
        code = Deployed(Path(folder))
        async with code.pool("forkserver", size=1) as pool:
            assert await pool.call("version") == 1
            code.path.write_text("1 / 0")
            shown = Shown(await error_of(pool.reload()))
            assert await pool.call("version") == 1
            return shown


@shows("The machine is suspended")
async def suspended() -> Shown:
    async with faulty() as pool:
        await pool.wait_ready()
        running = asyncio.create_task(pool.call("sleep", {"seconds": 0.1}, timeout=0.5))
        stats = await until(pool, lambda stats: stats.inflight_calls == 1)
        _suspend(stats.workers[0].pid or 0, seconds=2.0)
        assert await running == {"slept": 0.1}
        assert pool.stats().worker_exits == {}
        return Shown(stats=pool.stats())


def _suspend(worker: int, seconds: float) -> None:
    """Neither the worker nor this process's loop runs meanwhile."""
    os.kill(worker, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(worker, signal.SIGCONT)


@shows("The clock jumps")
async def clock_jumps() -> Shown:
    async with faulty() as pool:
        await pool.wait_ready()
        running = asyncio.create_task(pool.call("sleep", {"seconds": 0.1}, timeout=30))
        await until(pool, lambda stats: stats.inflight_calls == 1)
        tomorrow = time.time() + 86_400
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: tomorrow)
            patch.setattr(time, "time_ns", lambda: int(tomorrow * 1e9))
            assert await running == {"slept": 0.1}
        assert pool.stats().worker_exits == {}
        return Shown(stats=pool.stats())


@shows("A secret stands in an error")
async def secret() -> Shown:
    password = "correct-horse-battery"
    async with faulty(env={"DATABASE_PASSWORD": password}) as pool:
        shown = await failing(pool, "fail", message=f"refused: {password}")
        assert str(shown.error) == "ValueError: refused: [hidden]"
        assert password not in repr(vars(shown.error))
        return shown
