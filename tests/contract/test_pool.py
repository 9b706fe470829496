"""What a pool promises its callers, against real child processes, over every launcher."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pool import (
    BrokenWorkerError,
    CallTimeout,
    LeaseClosed,
    PoolClosed,
    PoolSaturated,
    PoolState,
    PoolTimeout,
    RemoteError,
    RequestError,
    ResultTypeError,
    WorkerPool,
)
from tests.contract.pools import LAUNCHERS, WAYS, make_pool, until
from tests.processes import ends_within


@pytest.fixture(params=WAYS)
def launcher(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


each_alone = pytest.mark.parametrize("launcher", LAUNCHERS)
"""For what is said of a worker that has no slot left, because it has but one."""


@pytest.fixture
async def pool(launcher: str) -> AsyncIterator[WorkerPool]:
    async with make_pool(launcher) as made:
        yield made


# Calls and results


async def test_a_call_returns_its_result(pool: WorkerPool) -> None:
    assert await pool.call("echo", {"text": "hello", "n": [1, 2.5, None]}) == {
        "text": "hello",
        "n": [1, 2.5, None],
    }


async def test_a_result_decodes_into_the_type_that_is_asked_for(pool: WorkerPool) -> None:
    class Who(msgspec.Struct):
        pid: int

    who = await pool.call("pid", result_type=Who)
    assert who.pid in {worker.pid for worker in pool.stats().workers}
    assert await pool.call("blob", {"data": b"\x00\xff"}, result_type=bytes) == b"\x00\xff"


async def test_a_result_of_another_type_is_an_error_that_keeps_it(pool: WorkerPool) -> None:
    with pytest.raises(ResultTypeError, match="echo") as caught:
        await pool.call("echo", {"a": "x"}, result_type=dict[str, int])
    assert caught.value.result == {"a": "x"}
    assert await pool.call("echo", {"a": 1}, result_type=dict[str, int]) == {"a": 1}


async def test_an_exception_in_the_command_is_a_remote_error(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        with pytest.raises(RemoteError, match="ValueError: no luck") as caught:
            await worker.call("fail", {"message": "no luck"})
        error = caught.value
        assert (error.error_type, error.message) == ("ValueError", "no luck")
        assert error.traceback is not None
        assert await worker.call("echo") == {}


async def test_a_bad_argument_names_its_field(pool: WorkerPool) -> None:
    with pytest.raises(RemoteError, match="seconds") as caught:
        await pool.call("sleep", {"seconds": "x"})
    assert caught.value.details == [{"path": "seconds", "problem": "Expected `float`, got `str`"}]


@pytest.mark.parametrize("args", [{"x": object()}, [1], "text", {"x": "\ud800"}])
async def test_arguments_that_cannot_be_sent_are_refused_before_anybody_waits(
    pool: WorkerPool, args: Any
) -> None:
    with pytest.raises(RequestError):
        await pool.call("echo", args)
    assert pool.stats().worker_starts == 0


async def test_arguments_over_the_limit_are_never_sent(launcher: str) -> None:
    async with make_pool(launcher, max_frame_bytes=4096) as pool:
        with pytest.raises(RequestError, match="max_frame_bytes"):
            await pool.call("echo", {"text": "x" * 5000})
        assert len((await pool.call("echo", {"text": "x" * 3000}))["text"]) == 3000


async def test_large_frames_pass_both_ways(pool: WorkerPool) -> None:
    text = "x" * (5 * 1024 * 1024)
    replies = await asyncio.gather(*(pool.call("echo", {"text": text}) for _ in range(4)))
    assert all(reply["text"] == text for reply in replies)


async def test_a_streaming_command_can_be_called_for_its_end(pool: WorkerPool) -> None:
    assert await pool.call("count", {"n": 100}) == {"items": 100}


# Leases


async def test_a_lease_is_one_worker(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        pids = {(await worker.call("pid"))["pid"] for _ in range(3)}
        assert pids == {worker.pid}
        assert worker.name in {stats.name for stats in pool.stats().workers}


async def test_calls_at_the_same_time_on_one_lease_run_in_order(pool: WorkerPool) -> None:
    ended: list[int] = []

    async def call(i: int, seconds: float) -> None:
        await worker.call("sleep", {"seconds": seconds})
        ended.append(i)

    async with pool.checkout() as worker:
        await asyncio.gather(*(call(i, 0.05 if i == 0 else 0.0) for i in range(4)))
    assert ended == [0, 1, 2, 3]


async def test_a_lease_ends_with_its_block(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        pass
    with pytest.raises(LeaseClosed, match="block has ended"):
        await worker.call("echo")


async def test_a_call_still_running_when_the_block_ends_fails_at_once(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        running = asyncio.create_task(worker.call("sleep", {"seconds": 0.2}))
        await until(pool, lambda stats: stats.inflight_calls == 1)
    with pytest.raises(LeaseClosed):
        await running
    assert pool.stats().abandoned == 1
    await until(pool, lambda stats: stats.idle == 1)


async def test_the_most_recently_used_worker_is_lent_first(pool: WorkerPool) -> None:
    await pool.wait_ready(2)
    async with pool.checkout() as worker:
        first = worker.pid
    for _ in range(5):
        async with pool.checkout() as worker:
            assert worker.pid == first


# Deadlines and cancellation


async def test_a_call_times_out_and_its_late_reply_is_dropped(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        with pytest.raises(CallTimeout, match=r"'sleep' did not answer within 0\.05 s"):
            await worker.call("sleep", {"seconds": 0.3}, timeout=0.05)
        with pytest.raises(LeaseClosed, match="timed out"):
            await worker.call("echo")
    stats = await until(pool, lambda stats: stats.late_replies == 1)
    assert (stats.idle, stats.worker_starts) == (1, 1)
    assert await pool.call("echo", {"mine": 1}) == {"mine": 1}


async def test_a_late_reply_never_reaches_the_next_caller(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        for i in range(3):
            await pool.wait_ready()
            with pytest.raises(CallTimeout):
                await pool.call("sleep", {"seconds": 0.1}, timeout=0.02)
            assert await pool.call("echo", {"i": i}) == {"i": i}


async def test_a_worker_that_answers_too_late_is_killed_and_replaced(launcher: str) -> None:
    async with make_pool(launcher, size=1, late_reply_timeout=0.05) as pool:
        await pool.wait_ready()
        with pytest.raises(CallTimeout):
            await pool.call("sleep", {"seconds": 60}, timeout=0.05)
        stats = await until(pool, lambda stats: stats.worker_exits == {"timeout": 1})
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
        assert stats.total <= 1


async def test_a_cancelled_caller_is_free_at_once_and_the_slot_comes_back(pool: WorkerPool) -> None:
    task = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
    await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.stats().abandoned == 1
    await until(pool, lambda stats: stats.idle == 1)
    assert pool.stats().calls == {"cancelled": 1}


async def test_a_call_that_waits_behind_another_on_a_lease_is_not_sent_late(
    pool: WorkerPool,
) -> None:
    async with pool.checkout() as worker:
        first = asyncio.create_task(worker.call("sleep", {"seconds": 0.2}))
        await until(pool, lambda stats: stats.inflight_calls == 1)
        with pytest.raises(CallTimeout, match="was not sent"):
            await worker.call("sleep", {"seconds": 1}, timeout=0.02)
        assert await first == {"slept": 0.2}
        assert await worker.call("echo") == {}


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
async def test_a_senseless_timeout_is_refused(pool: WorkerPool, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        await pool.call("echo", timeout=timeout)


# Waiting for a worker


async def test_nothing_starts_before_it_is_needed(pool: WorkerPool) -> None:
    await asyncio.sleep(0)
    assert pool.stats().worker_starts == 0


async def test_checkouts_that_arrive_during_the_start_are_served_in_order(pool: WorkerPool) -> None:
    served: list[int] = []

    async def call(i: int) -> None:
        async with pool.checkout() as worker:
            served.append(i)
            await worker.call("echo")

    await asyncio.gather(*(call(i) for i in range(20)))
    assert served == list(range(20))
    assert pool.stats().worker_starts <= 2


@each_alone
async def test_overflow_starts_when_all_are_busy_and_never_more(launcher: str) -> None:
    async with make_pool(launcher, size=1, overflow=2) as pool:
        calls = [pool.call("sleep", {"seconds": 0.5}) for _ in range(6)]
        await asyncio.gather(*calls)
        assert pool.stats().worker_starts == 3


@each_alone
async def test_overflow_leaves_after_it_lingered(launcher: str) -> None:
    async with make_pool(launcher, size=1, overflow=1, idle_timeout=0.2, min_ready=1) as pool:
        await asyncio.gather(*(pool.call("sleep", {"seconds": 0.4}) for _ in range(4)))
        assert pool.stats().worker_starts == 2
        stats = await until(pool, lambda stats: stats.total == 1)
        assert stats.worker_exits == {"idle": 1}


async def test_min_ready_starts_and_keeps_workers_without_demand(launcher: str) -> None:
    async with make_pool(launcher, min_ready=1) as pool:
        stats = await until(pool, lambda stats: stats.idle == 1)
        os.kill(stats.workers[0].pid or 0, signal.SIGKILL)
        await until(pool, lambda stats: stats.worker_starts == 2 and stats.idle == 1)


async def test_wait_ready_warms_up(pool: WorkerPool) -> None:
    await pool.wait_ready()
    assert (pool.stats().idle, pool.stats().validations) == (2, {"ok": 1})
    with pytest.raises(ValueError, match="pool's size, 2"):
        await pool.wait_ready(3)


@each_alone
async def test_above_max_waiting_a_checkout_is_shed_at_once(launcher: str) -> None:
    async with make_pool(launcher, size=1, max_waiting=1) as pool:
        await pool.wait_ready()
        running = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
        await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
        waiting = asyncio.create_task(pool.call("echo", {"a": 1}))
        await until(pool, lambda stats: stats.waiting == 1)
        with pytest.raises(
            PoolSaturated, match=r"1 checkouts wait already.* 1 of their 1 slots busy"
        ) as caught:
            await pool.call("echo")
        assert caught.value.retry_after > 0
        assert await waiting == {"a": 1}
        await running
        assert pool.stats().checkouts == {"ok": 2, "shed": 1}


@each_alone
async def test_a_checkout_that_expires_says_how_things_are(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        async with pool.checkout():
            with pytest.raises(
                PoolTimeout, match=r"within 0\.05 s .* 1 busy.* Raise size"
            ) as caught:
                async with pool.checkout(timeout=0.05):
                    pass
            assert isinstance(caught.value, TimeoutError)
        assert await pool.call("echo") == {}


@each_alone
@pytest.mark.parametrize("turns", range(6))
async def test_a_waiter_cancelled_around_the_hand_off_loses_no_worker(
    launcher: str, turns: int
) -> None:
    async def hold() -> None:
        async with made.checkout():
            await asyncio.Event().wait()

    async with make_pool(launcher, size=1) as made:
        pool = made
        async with pool.checkout():
            waiter = asyncio.create_task(hold())
            await until(pool, lambda stats: stats.waiting == 1)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert pool.stats().idle == 1
        assert await pool.call("echo", {"i": 2}) == {"i": 2}


@each_alone
async def test_a_checkout_with_no_time_takes_an_idle_worker_or_none(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        await pool.wait_ready()
        async with pool.checkout(timeout=0):
            with pytest.raises(PoolTimeout):
                async with pool.checkout(timeout=0):
                    pass


# Lost workers


async def test_a_killed_worker_fails_its_call_and_is_replaced(pool: WorkerPool) -> None:
    await pool.call("echo")
    async with pool.checkout() as worker:
        running = asyncio.create_task(worker.call("sleep", {"seconds": 60}))
        await until(pool, lambda stats: stats.inflight_calls == 1)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(BrokenWorkerError, match="SIGKILL with 'sleep' on it") as caught:
            await running
        error = caught.value
        assert (error.pid, error.signal, error.returncode) == (worker.pid, signal.SIGKILL, -9)
        assert error.request_sent
        with pytest.raises(BrokenWorkerError, match="was not sent"):
            await worker.call("echo")
    stats = await until(pool, lambda stats: stats.idle == 1)
    assert (stats.worker_exits, stats.replacements) == ({"signal": 1}, 1)


async def test_an_idle_worker_that_died_is_not_lent(pool: WorkerPool) -> None:
    await pool.call("echo")
    victim = pool.stats().workers[0].pid or 0
    os.kill(victim, signal.SIGKILL)
    # Blocks the loop: the pool has had no chance to see the pipe close.
    assert not ends_within({victim}, 5.0)
    async with pool.checkout() as worker:
        assert await worker.call("echo", {"a": 1}) == {"a": 1}


async def test_an_idempotent_call_is_made_again_elsewhere(pool: WorkerPool) -> None:
    running = asyncio.create_task(pool.call("sleep", {"seconds": 0.3}, idempotent=True))
    stats = await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
    os.kill(stats.workers[0].pid or 0, signal.SIGKILL)
    assert await running == {"slept": 0.3}
    assert pool.stats().retries == 1


async def test_a_slot_freed_by_a_late_reply_has_one_owner(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        await pool.wait_ready()
        async with pool.checkout() as first:
            with pytest.raises(CallTimeout):
                await first.call("sleep", {"seconds": 0.1}, timeout=0.02)
            await until(pool, lambda stats: stats.late_replies == 1 and stats.idle >= 1)
            second = pool.checkout()
            held = await second.__aenter__()
        # The first block has ended: what it gave up is the second's, and stays so.
        assert held.pid in {worker.pid for worker in pool.stats().workers if worker.state == "busy"}
        assert await held.call("echo", {"a": 1}) == {"a": 1}
        await second.__aexit__(None, None, None)


@each_alone
async def test_who_waits_is_served_while_another_call_is_abandoned(launcher: str) -> None:
    async with make_pool(launcher, size=1, late_reply_timeout=30.0) as pool:
        await pool.wait_ready()
        async with pool.checkout() as worker:
            waiting = asyncio.create_task(pool.call("echo", {"a": 1}))
            await until(pool, lambda stats: stats.waiting == 1)
            with pytest.raises(CallTimeout):
                await worker.call("sleep", {"seconds": 60}, timeout=0.02)
            assert await waiting == {"a": 1}


async def test_abandoned_workers_do_not_pile_up(launcher: str) -> None:
    async with make_pool(launcher, size=1, late_reply_timeout=30.0) as pool:
        for _ in range(4):
            await pool.wait_ready()
            with pytest.raises(CallTimeout):
                await pool.call("sleep", {"seconds": 60}, timeout=0.02)
        assert pool.stats().abandoned == 1


@each_alone
async def test_without_a_queue_a_cold_pool_still_serves_its_size(launcher: str) -> None:
    async with make_pool(launcher, size=2, max_waiting=0) as pool:
        calls = (pool.call("echo", {"i": i}) for i in range(3))
        replies = await asyncio.gather(*calls, return_exceptions=True)
        assert replies[:2] == [{"i": 0}, {"i": 1}]
        assert isinstance(replies[2], PoolSaturated)


async def test_draining_waits_for_a_lost_call_to_be_made_again(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    await pool.open()
    await pool.wait_ready()
    running = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}, idempotent=True))
    stats = await until(pool, lambda stats: stats.inflight_calls == 1)
    draining = asyncio.create_task(pool.drain())
    os.kill(stats.workers[0].pid or 0, signal.SIGKILL)
    assert await running == {"slept": 0.2}
    await draining


async def test_a_checkout_made_before_the_pool_closed_is_refused_after(launcher: str) -> None:
    async with make_pool(launcher) as pool:
        checkout = pool.checkout()
    with pytest.raises(PoolClosed):
        async with checkout:
            pass


async def test_a_checkout_is_entered_once(pool: WorkerPool) -> None:
    checkout = pool.checkout()
    async with checkout:
        with pytest.raises(RuntimeError, match="once"):
            await checkout.__aenter__()


# Opening and closing


async def test_a_pool_must_be_open(launcher: str) -> None:
    pool = make_pool(launcher)
    with pytest.raises(PoolClosed, match="not open"):
        await pool.call("echo")
    async with pool:
        with pytest.raises(PoolClosed, match="once"):
            await pool.open()
    with pytest.raises(PoolClosed, match="closed"):
        await pool.call("echo")
    for close_again in (pool.aclose, pool.drain, pool.terminate):
        await close_again()


async def test_open_and_close_may_be_called_from_any_task_in_any_order(launcher: str) -> None:
    one, two = make_pool(launcher), make_pool(launcher)
    for pool in (one, two):
        await asyncio.create_task(pool.open())
    await asyncio.gather(one.call("echo"), two.call("echo"))
    for pool in (one, two):
        await asyncio.gather(*(asyncio.create_task(pool.aclose()) for _ in range(3)))
        assert pool.stats().state is PoolState.CLOSED
        assert pool.stats().total == 0


@each_alone
async def test_closing_lets_running_calls_finish_and_refuses_the_rest(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    await pool.open()
    running = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
    await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
    waiting = asyncio.create_task(pool.call("echo"))
    await until(pool, lambda stats: stats.waiting == 1)
    closing = asyncio.create_task(pool.aclose())
    with pytest.raises(PoolClosed):
        await waiting
    with pytest.raises(PoolClosed, match="draining"):
        await pool.call("echo")
    assert await running == {"slept": 0.2}
    await closing


@each_alone
async def test_draining_serves_who_waits_too(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    await pool.open()
    calls = [asyncio.create_task(pool.call("sleep", {"seconds": 0.05})) for _ in range(3)]
    await until(pool, lambda stats: stats.waiting == 3)
    await pool.drain()
    assert [await call for call in calls] == [{"slept": 0.05}] * 3


async def test_after_the_grace_period_running_calls_are_killed(launcher: str) -> None:
    pool = make_pool(launcher, grace_period=0.1)
    await pool.open()
    running = asyncio.create_task(pool.call("sleep", {"seconds": 60}))
    await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
    await pool.aclose()
    with pytest.raises(BrokenWorkerError, match="pool closes"):
        await running


async def test_an_exception_in_the_block_terminates_the_pool(launcher: str) -> None:
    async def use() -> None:
        async with make_pool(launcher) as pool:
            tasks.append(asyncio.create_task(pool.call("sleep", {"seconds": 60})))
            await until(pool, lambda stats: stats.busy == stats.inflight_calls == 1)
            raise KeyError("the user's own")

    tasks: list[asyncio.Task[Any]] = []
    with pytest.raises(KeyError):
        await use()
    with pytest.raises(BrokenWorkerError, match="terminated"):
        await tasks[0]


@pytest.mark.parametrize("phase", ["validating", "starting", "serving"])
async def test_a_cancelled_block_leaves_nothing_in_any_phase(launcher: str, phase: str) -> None:
    async def use() -> None:
        async with pool:
            opened.set()
            await pool.call("sleep", {"seconds": 60})

    pool, opened = make_pool(launcher), asyncio.Event()
    task = asyncio.create_task(use())
    await opened.wait()
    if phase != "validating":
        state = {"starting": "starting", "serving": "busy"}[phase]
        await until(pool, lambda stats: getattr(stats, state) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.stats().total == 0


async def test_an_idle_worker_is_pinged_and_killed_if_it_does_not_answer(launcher: str) -> None:
    async with make_pool(launcher, size=1, ping_interval=0.05, ping_timeout=0.3) as pool:
        await pool.call("echo")
        stats = await until(pool, lambda stats: stats.pings.get("ok", 0) >= 2)
        os.kill(stats.workers[0].pid or 0, signal.SIGSTOP)
        await until(pool, lambda stats: stats.worker_exits == {"ping": 1})
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


async def test_a_busy_worker_is_never_pinged_to_death(launcher: str) -> None:
    async with make_pool(launcher, size=1, ping_interval=0.02, ping_timeout=0.02) as pool:
        await pool.call("echo")
        assert await pool.call("sleep", {"seconds": 0.3}) == {"slept": 0.3}
        assert pool.stats().worker_exits == {}
