"""Leases that are held too long are reported once, with who took them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pool import CallTimeout, Lease, SyncWorkerPool, WorkerPool
from pool.clock import Alarm
from pool.leaks import MAX_FRAMES, take_stack, watch
from tests.contract.pools import make_pool, until

THRESHOLD = 0.05
FOR_EVER = 3600.0
"""Seconds; longer than any test."""


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    caplog.set_level(logging.WARNING, "bridgepool")
    return lambda: [record for record in caplog.records if record.name == "bridgepool"]


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[Alarm]:
    """The alarms of leases, set or cancelled."""
    made: list[Alarm] = []

    def noted(*args: Any) -> Alarm:
        made.append(watch(*args))
        return made[-1]

    monkeypatch.setattr("pool.lease.watch", noted)
    return made


def leaky(threshold: float | None = THRESHOLD, **options: Any) -> WorkerPool:
    return make_pool("forkserver", leak_threshold=threshold, name="p", **options)


async def take_and_keep(pool: WorkerPool, stack: contextlib.AsyncExitStack) -> Lease:
    return await stack.enter_async_context(pool.checkout())


Reports = Callable[[], list[logging.LogRecord]]


async def test_a_lease_held_too_long_is_reported_once_with_who_took_it(reports: Reports) -> None:
    async with leaky() as pool, contextlib.AsyncExitStack() as stack:
        worker = await take_and_keep(pool, stack)
        await until(pool, lambda stats: stats.leaks == 1)
        (report,) = reports()
        text = report.getMessage()
        assert text.startswith(f"p: {worker.name} has been lent for 0.")
        assert f"longer than leak_threshold={THRESHOLD} s" in text
        taken = take_and_keep.__code__
        line = f"  {taken.co_filename}:{taken.co_firstlineno + 1} take_and_keep"
        assert text.splitlines()[-1] == line  # the innermost frame that is not the pool's
        assert "test_a_lease_held_too_long" in text.splitlines()[-2]
        assert (report.levelname, vars(report)["worker"]) == ("WARNING", worker.name)
        # It serves on, and is not reported again.
        assert await worker.call("sleep", {"seconds": 2 * THRESHOLD}) == {"slept": 2 * THRESHOLD}
    assert (pool.stats().leaks, len(reports())) == (1, 1)


async def test_frames_of_the_pool_and_of_the_loop_are_left_out(reports: Reports) -> None:
    async with leaky() as pool, pool.checkout():
        await until(pool, lambda stats: stats.leaks == 1)
    frames = [line for line in reports()[0].getMessage().splitlines() if line.startswith("  ")]
    assert len(frames) == 1
    assert frames[0].endswith("test_frames_of_the_pool_and_of_the_loop_are_left_out")


async def test_a_lease_given_back_in_time_is_not_reported(
    alarms: list[Alarm], reports: Reports
) -> None:
    async with leaky(FOR_EVER) as pool:
        async with pool.checkout() as worker:
            await worker.call("echo")
            assert [alarm.is_set for alarm in alarms] == [True]
        assert [alarm.is_set for alarm in alarms] == [False]
        assert (pool.stats().leaks, reports()) == (0, [])


async def test_a_lease_that_lost_its_worker_to_a_timeout_holds_nothing(
    alarms: list[Alarm],
) -> None:
    async with leaky(FOR_EVER) as pool, pool.checkout() as worker:
        with pytest.raises(CallTimeout):
            await worker.call("sleep", {"seconds": 0.2}, timeout=0.02)
        assert [alarm.is_set for alarm in alarms] == [False]


async def test_nothing_is_timed_or_noted_without_a_threshold(
    alarms: list[Alarm], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("pool.lease.take_stack")
    async with leaky(None) as pool, pool.checkout():
        assert alarms == []


async def test_a_call_of_the_pool_s_own_is_no_lease(alarms: list[Alarm]) -> None:
    async with leaky() as pool:
        await pool.call("echo")
        assert alarms == []


async def test_a_lease_that_nobody_s_code_took_is_reported_all_the_same(
    alarms: list[Alarm], reports: Reports
) -> None:
    async with leaky(FOR_EVER) as pool:
        checkout = pool.checkout()
        await asyncio.create_task(checkout.__aenter__())
        alarms[0].ring()
        await checkout.__aexit__()
    assert reports()[0].getMessage().endswith("\n  (the event loop's own call)")


def test_of_a_synchronous_pool_it_is_the_stack_of_the_thread_that_asked(reports: Reports) -> None:
    @contextlib.contextmanager
    def lend(pool: SyncWorkerPool) -> Iterator[None]:
        with pool.checkout():
            yield

    with SyncWorkerPool("bridge.echo", size=1, name="p", leak_threshold=THRESHOLD) as pool:
        with lend(pool):
            while pool.stats().leaks == 0:
                pass
        (report,) = reports()
    *_, outer, inner = report.getMessage().splitlines()
    assert outer.endswith("test_of_a_synchronous_pool_it_is_the_stack_of_the_thread_that_asked")
    assert inner.endswith(".<locals>.lend")
    assert str(Path("pool", "sync.py")) not in report.getMessage()


def test_a_stack_is_cut_and_keeps_no_frame_alive() -> None:
    def recurse(depth: int) -> Any:
        return recurse(depth - 1) if depth else take_stack()

    stack = recurse(2 * MAX_FRAMES)
    assert len(stack) == MAX_FRAMES
    assert {code.co_name for code, _ in stack} == {"recurse"}
