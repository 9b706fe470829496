"""Workers that cannot start, and more load than there are workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pool import WorkerPool
from tests.contract.failure_modes import Shown, error_of, failing, faulty, shows
from tests.contract.pools import make_pool, until
from tests.processes import children

# The start


@shows("A variable or key is not set")
async def no_variable() -> Shown:
    async with faulty(requires_env=["BRIDGEPOOL_NO_SUCH_KEY"]) as pool:
        shown = await failing(pool, "echo")
        assert pool.stats().worker_starts == 0
        return shown


@shows("A package is missing")
async def no_package() -> Shown:
    async with faulty(requires=["bridgepool-no-such-thing"]) as pool:
        shown = await failing(pool, "echo")
        assert pool.stats().worker_starts == 0
        return shown


@shows("The bridge cannot be imported")
async def broken_import() -> Shown:
    async with make_pool("forkserver", "tests.contract.broken_import") as pool:
        shown = await failing(pool, "echo")
        assert "ZeroDivisionError" in str(shown.error)
        return shown


@shows("The weights cannot be loaded")
async def no_weights() -> Shown:
    async with make_pool("forkserver", "tests.contract.bridges:failing", max_restarts=0) as pool:
        shown = await failing(pool, "echo")
        assert "the weights are missing" in str(shown.error)
        return shown


@shows("Starts fail again and again")
async def crash_loop() -> Shown:
    async with faulty(options={"exit_before_ready": 7}, max_restarts=1) as pool:
        await failing(pool, "echo")
        shown = await failing(pool, "echo")
        assert "crash loop" in str(shown.error)
        assert pool.stats().failed_starts == 2
        return shown


@shows("An import is slow")
async def slow_import() -> Shown:
    async with make_pool("forkserver", "tests.contract.slow_import") as pool:
        shown = Shown(await error_of(pool.call("echo", timeout=0.3)))
        assert children(), "the import goes on"
        return shown


@shows("An import never ends")
async def endless_import() -> Shown:
    async with make_pool("forkserver", "tests.contract.slow_import", start_timeout=0.5) as pool:
        return await failing(pool, "echo")


@shows("A start never ends")
async def endless_start() -> Shown:
    never = {"never_ready": True}
    async with faulty(options=never, start_timeout=3.0, max_restarts=0) as pool:
        return await failing(pool, "echo")


@shows("The template is killed")
async def template_killed() -> Shown:
    async with faulty() as pool:
        pid = (await pool.call("pid"))["pid"]
        [template] = children()
        os.kill(template, signal.SIGKILL)
        await until(pool, lambda _: not children())
        assert (await pool.call("pid"))["pid"] == pid
        os.kill(pid, signal.SIGKILL)
        return Shown(stats=await until(pool, lambda s: s.generation == 2 and s.idle == 1))


# Load


@asynccontextmanager
async def busy(pool: WorkerPool, command: str = "hang") -> AsyncIterator[None]:
    """All its one worker does."""
    running = asyncio.create_task(pool.call(command, timeout=None))
    await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


@shows("The queue is full")
async def queue_full() -> Shown:
    async with faulty(max_waiting=0, grace_period=0.1) as pool, busy(pool):
        return await failing(pool, "echo")


@shows("The deadline cannot be met")
async def cannot_be_met() -> Shown:
    async with faulty(grace_period=0.1) as pool:
        await pool.call("sleep", {"seconds": 0.3})
        async with busy(pool):
            error = await error_of(pool.call("echo", timeout=0.1))
            return Shown(error, pool.stats())


@shows("No worker is free in time")
async def not_in_time() -> Shown:
    async with faulty(grace_period=0.1) as pool, busy(pool):
        error = await error_of(pool.call("echo", timeout=0.05))
        return Shown(error, pool.stats())
