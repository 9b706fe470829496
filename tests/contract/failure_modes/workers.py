"""Workers that die, get stuck or talk nonsense."""

from __future__ import annotations

import asyncio
import os
import signal
from unittest.mock import patch

from pool.launch.oom import kills
from tests.contract.failure_modes import Shown, error_of, failing, faulty, shows
from tests.contract.pools import make_pool, until
from tests.processes import ends_within

MIB = 1 << 20


@shows("A worker exits in a call")
async def exits() -> Shown:
    async with faulty() as pool:
        await pool.call("arm", {"where": "running", "how": "exit-3"})
        shown = await failing(pool, "work")
        assert await pool.call("echo") == {}
        return shown


@shows("A worker is killed by a signal")
async def killed() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "crash", way="signal")


@shows("A worker has a segmentation fault")
async def segfault() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "crash", way="segfault")


@shows("A worker dies while idle")
async def dies_idle() -> Shown:
    async with faulty() as pool:
        await pool.call("echo")
        os.kill(pool.stats().workers[0].pid or 0, signal.SIGKILL)
        stats = await until(pool, lambda stats: stats.replacements == stats.idle == 1)
        assert await pool.call("echo") == {}
        return Shown(stats=stats)


@shows("Memory runs out, with a limit")
async def limited_memory() -> Shown:
    shows_limits = "tests.contract.limit_bridges:shows"
    async with make_pool("forkserver", shows_limits, max_address_space=128 * MIB) as pool:
        shown = await failing(pool, "take", how="at once")
        assert pool.stats().worker_exits == {}
        return shown


@shows("Memory runs out, without a limit")
async def killed_by_the_kernel() -> Shown:
    async with faulty() as pool:
        running = asyncio.create_task(pool.call("hang"))
        stats = await until(pool, lambda stats: stats.inflight_calls == stats.busy == 1)
        # As the kernel does, and counts: to run out of memory in earnest would end others.
        with patch.object(kills(), "claim", return_value=True):
            os.kill(stats.workers[0].pid or 0, signal.SIGKILL)
            error = await error_of(running)
            return Shown(error, await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("A worker is stuck with the GIL held")
async def holds_the_gil() -> Shown:
    async with faulty(late_reply_timeout=0.05) as pool:
        await pool.wait_ready()
        error = await error_of(pool.call("hold_gil", {"seconds": 3600}, timeout=0.05))
        return Shown(error, await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("A worker is stuck while idle")
async def stuck_idle() -> Shown:
    async with faulty(ping_interval=0.05, ping_timeout=0.3) as pool:
        await pool.call("echo")
        os.kill(pool.stats().workers[0].pid or 0, signal.SIGSTOP)
        return Shown(stats=await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("A worker leaks memory")
async def leaks_memory() -> Shown:
    async with faulty(max_memory=32 * MIB) as pool:
        await pool.call("leak", {"megabytes": 64})
        return Shown(stats=await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("A worker wears out")
async def wears_out() -> Shown:
    async with faulty(max_calls=2) as pool:
        for _ in range(2):
            await pool.call("echo")
        return Shown(stats=await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("A worker opens too many files")
async def many_files() -> Shown:
    shows_limits = "tests.contract.limit_bridges:shows"
    async with make_pool("forkserver", shows_limits, max_open_files=64) as pool:
        shown = await failing(pool, "open_files", count=64)
        assert pool.stats().worker_exits == {}
        return shown


@shows("A worker leaves a process behind")
async def grandchild() -> Shown:
    async with faulty() as pool:
        left = await pool.call("leave_grandchild")
        shown = await failing(pool, "crash")
        assert not ends_within({left["pid"]}, 2.0)
        return shown


@shows("A reply is cut short")
async def half_a_frame() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "half_frame")


@shows("A reply is garbled")
async def garbage() -> Shown:
    async with faulty() as pool:
        shown = await failing(pool, "garbage")
        assert "not a reply" in str(shown.error)
        return shown


@shows("A reply answers no call")
async def wrong_id() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "wrong_id")


@shows("A reply comes twice")
async def second_reply() -> Shown:
    async with faulty() as pool:
        assert await pool.call("duplicate_reply") == {"answer": 1}
        return Shown(stats=await until(pool, lambda stats: stats.late_replies == 1))


@shows("A command prints to stdout")
async def prints() -> Shown:
    async with faulty() as pool:
        assert await pool.call("print_on_stdout", {"text": "hello"}) == {"printed": "hello"}
        return Shown(stats=pool.stats())
