"""Calls and leases that fail."""

from __future__ import annotations

import asyncio
from typing import Any

from pool import Breaker, PoolTimeout
from tests.contract.failure_modes import Shown, error_of, failing, faulty, shows
from tests.contract.pools import until

SHORT = 0.05


@shows("A call takes too long")
async def too_long() -> Shown:
    async with faulty() as pool:
        await pool.wait_ready()
        return Shown(await error_of(pool.call("sleep", {"seconds": 0.2}, timeout=SHORT)))


@shows("A late reply comes")
async def late() -> Shown:
    async with faulty() as pool:
        await pool.wait_ready()
        error = await error_of(pool.call("late_reply", {"seconds": 0.2}, timeout=SHORT))
        stats = await until(pool, lambda stats: stats.late_replies == 1)
        assert stats.worker_starts - len(stats.workers) == 0
        assert await pool.call("echo", {"mine": 1}) == {"mine": 1}
        return Shown(error, stats)


@shows("A call ignores its timeout")
async def runaway() -> Shown:
    async with faulty(late_reply_timeout=SHORT) as pool:
        await pool.wait_ready()
        error = await error_of(pool.call("hang", timeout=SHORT))
        return Shown(error, await until(pool, lambda stats: bool(stats.worker_exits)))


@shows("The client is gone")
async def client_gone() -> Shown:
    async with faulty() as pool:
        task = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
        await until(pool, lambda stats: stats.inflight_calls == stats.busy == 1)
        task.cancel()
        error = await error_of(task)
        assert pool.stats().abandoned == 1
        await until(pool, lambda stats: stats.idle == 1)
        return Shown(error, pool.stats())


@shows("Arguments fail validation")
async def bad_arguments() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "sleep", seconds="long")


@shows("The command does not exist")
async def no_such_command() -> Shown:
    async with faulty() as pool:
        return await failing(pool, "slepe")


@shows("Arguments are no JSON")
async def no_json() -> Shown:
    async with faulty() as pool:
        shown = await failing(pool, "echo", thing=object())
        assert pool.stats().worker_starts == 0
        return shown


@shows("An argument is very large")
async def large_argument() -> Shown:
    async with faulty(max_frame_bytes=4096) as pool:
        shown = await failing(pool, "echo", text="x" * 5000)
        assert pool.stats().worker_starts == 0
        return shown


@shows("A result is very large")
async def large_result() -> Shown:
    async with faulty(max_frame_bytes=4096) as pool:
        shown = await failing(pool, "big_result", size=5000)
        assert pool.stats().worker_exits == {}
        return shown


@shows("A result is no JSON")
async def unencodable() -> Shown:
    async with faulty() as pool:
        shown = await failing(pool, "unencodable")
        assert pool.stats().worker_exits == {}
        return shown


@shows("A result has the wrong type")
async def wrong_type() -> Shown:
    async with faulty() as pool:
        error = await error_of(pool.call("echo", {"a": "x"}, result_type=dict[str, int]))
        assert pool.stats().worker_exits == {}
        return Shown(error)


@shows("The command raises")
async def raises() -> Shown:
    async with faulty() as pool:
        shown = await failing(pool, "fail", message="no luck")
        assert (pool.stats().worker_exits, pool.stats().retries) == ({}, 0)
        return shown


@shows("A command keeps failing")
async def keeps_failing() -> Shown:
    async with faulty(breaker=Breaker(failures=2)) as pool:
        for _ in range(2):
            await failing(pool, "fail", message="no")
        return await failing(pool, "fail", message="no")


@shows("The worker dies before it has the request")
async def never_sent() -> Shown:
    more_than_a_pipe_holds = {"text": "x" * 5_000_000}
    async with faulty() as pool:
        await pool.call("arm", {"where": "reading", "how": "exit-3"})
        assert await pool.call("echo", more_than_a_pipe_holds) == more_than_a_pipe_holds
        return Shown(stats=pool.stats())


@shows("The reply is lost")
async def reply_lost() -> Shown:
    async with faulty() as pool:
        await pool.call("arm", {"where": "writing", "how": "exit-3"})
        return await failing(pool, "work")


@shows("Input is poisonous")
async def poison() -> Shown:
    async with faulty() as pool:
        error = await error_of(pool.call("crash", idempotent=True))
        assert "has cost 3 workers" in error.__notes__[0]
        return Shown(error, pool.stats())


@shows("The same request comes twice")
async def twice() -> Shown:
    async with faulty() as pool:
        done = [await pool.call("work") for _ in range(2)]
        assert done == [{"calls": 1}, {"calls": 2}]
        return Shown(stats=pool.stats())


@shows("A lease is never given back")
async def leaked_lease() -> Shown:
    async with faulty(leak_threshold=SHORT) as pool, pool.checkout() as worker:
        stats = await until(pool, lambda stats: stats.leaks == 1)
        assert await worker.call("echo") == {}
        return Shown(stats=stats)


@shows("A lease is used after its end")
async def lease_over() -> Shown:
    async with faulty() as pool:
        async with pool.checkout() as worker:
            pass
        return Shown(await error_of(worker.call("echo")))


@shows("Lease holders wait for one another")
async def deadlock() -> Shown:
    async def take_two(first: asyncio.Barrier) -> Any:
        async with pool.checkout():
            await first.wait()
            async with pool.checkout(timeout=SHORT):
                pass

    async with faulty(size=2) as pool:
        both = asyncio.Barrier(2)
        told = await asyncio.gather(take_two(both), take_two(both), return_exceptions=True)
        # One of them, and the other too unless it gets in time what the first one leaves.
        errors = [error for error in told if error is not None]
        assert {type(error) for error in errors} == {PoolTimeout}
        return Shown(errors[0])
