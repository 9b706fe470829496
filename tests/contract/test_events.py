"""What a pool tells of itself, in order, with real children."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from pool import (
    Breaker,
    CallTimeout,
    CircuitOpen,
    PoolSaturated,
    PoolTimeout,
    RemoteError,
    WorkerPool,
)
from pool.errors import BrokenWorkerError, EnvironmentInvalid, WorkerStartError
from pool.telemetry.events import (
    EVENTS,
    CallAbandoned,
    CallFinished,
    CallRetried,
    CheckoutExpired,
    CheckoutGranted,
    CheckoutReturned,
    CheckoutShed,
    CircuitOpened,
    EnvironmentValidated,
    Event,
    LeaseLeaked,
    PingAnswered,
    PoolFailed,
    ReplyLate,
    WorkerExited,
    WorkerLost,
    WorkerRecycled,
    WorkerReplaced,
    WorkerStarted,
)
from tests.contract.pools import WAYS, make_pool, until


def listening(pool: WorkerPool) -> list[Event]:
    """All that the pool tells from now on."""
    heard: list[Event] = []

    def hear(events: Sequence[Event]) -> None:
        heard.extend(events)

    pool.listen(hear, EVENTS)
    return heard


def of(heard: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in heard if type(event) is kind]


@pytest.mark.parametrize("launcher", WAYS)
async def test_a_short_life(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    heard = listening(pool)
    async with pool:
        await pool.call("echo", {"text": "a"})
    assert [event.name for event in heard] == [
        "pool.opened",
        *(["template.loaded"] if launcher.startswith("forkserver") else []),
        "environment.validated",
        "worker.started",
        "checkout.granted",
        "call.finished",
        "checkout.returned",
        "worker.exited",
        "pool.closed",
    ]
    assert all(event.pool == pool.name for event in heard)
    assert [event.at for event in heard] == sorted(event.at for event in heard)
    (validated,) = of(heard, EnvironmentValidated)
    assert validated.problems == ()
    (started,) = of(heard, WorkerStarted)
    assert 0 < started.launch <= started.ready
    assert started.slot == 0
    (exited,) = of(heard, WorkerExited)
    assert (exited.reason, exited.code, exited.signal, exited.calls) == ("drain", 0, None, 1)
    assert exited.pid == started.pid


async def test_a_call_and_its_checkout() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool:
        await pool.call("echo", {"text": "a"})
        heard = listening(pool)
        await pool.call("echo", {"text": "a"})
        async with pool.checkout() as worker:
            with pytest.raises(RemoteError):
                await worker.call("no such", {})
            await worker.call("echo", {})
    first, second, third = of(heard, CallFinished)
    assert (first.waited, second.waited, third.waited) == (0.0, 0.0, None)
    assert (first.command, first.outcome, first.calls) == ("echo", "ok", 1)
    assert first.request_bytes == len('{"text":"a"}')
    assert first.response_bytes > first.request_bytes
    assert 0 < first.seconds < 5
    assert second.outcome == "error"
    assert len(of(heard, CheckoutGranted)) == 2
    held = of(heard, CheckoutReturned)
    assert [checkout.waited for checkout in held] == [0.0, 0.0]
    assert held[0].held >= first.seconds
    assert {event.worker for event in of(heard, CallFinished) + held} == {worker.name}


async def test_a_queue() -> None:
    pool = make_pool("forkserver", size=1, max_waiting=1)
    async with pool:
        heard = listening(pool)
        async with pool.checkout():
            with pytest.raises(PoolTimeout):
                async with pool.checkout(timeout=0.05):
                    pass
    (expired,) = of(heard, CheckoutExpired)
    assert expired.waited >= 0.05
    (granted,) = of(heard, CheckoutGranted)
    assert granted.waited > 0  # for the start of the first worker


async def test_who_is_refused() -> None:
    pool = make_pool("forkserver", size=1, max_waiting=0)
    async with pool:
        heard = listening(pool)
        async with pool.checkout():
            with pytest.raises(PoolSaturated) as refused:
                async with pool.checkout():
                    pass
    (shed,) = of(heard, CheckoutShed)
    assert (shed.waiting, shed.retry_after) == (0, refused.value.retry_after)


@pytest.mark.parametrize("launcher", WAYS)
async def test_a_killed_worker_is_replaced(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    async with pool:
        await pool.wait_ready()
        heard = listening(pool)
        (worker,) = pool.stats().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await until(pool, lambda stats: bool(of(heard, WorkerReplaced)))
    (lost,) = of(heard, WorkerLost)
    assert (lost.worker, lost.was_ready) == (worker.name, True)
    exited = of(heard, WorkerExited)[0]
    assert (exited.reason, exited.signal, exited.code) == ("signal", signal.SIGKILL, None)
    (replaced,) = of(heard, WorkerReplaced)
    assert 0 < replaced.gap < 10
    assert replaced.worker != worker.name


async def test_a_call_that_is_given_up() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    async with pool:
        await pool.wait_ready()
        heard = listening(pool)
        with pytest.raises(CallTimeout):
            await pool.call("late_reply", {"seconds": 0.2}, timeout=0.05)
        await until(pool, lambda stats: bool(of(heard, ReplyLate)))
    (abandoned,) = of(heard, CallAbandoned)
    assert (abandoned.command, abandoned.outcome) == ("late_reply", "timeout")
    (finished,) = of(heard, CallFinished)
    assert finished.outcome == "timeout"
    assert finished.compute is None


async def test_a_call_that_is_made_again() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    async with pool:
        await pool.wait_ready()
        heard = listening(pool)
        with pytest.raises(BrokenWorkerError):
            await pool.call("crash", {}, idempotent=True, attempts=2)
    (retried,) = of(heard, CallRetried)
    assert (retried.command, retried.lost, retried.reason) == ("crash", 1, "worker_lost")
    assert [call.outcome for call in of(heard, CallFinished)] == ["worker_lost", "worker_lost"]


async def test_a_stream_tells_its_items() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    async with pool:
        await pool.wait_ready()
        heard = listening(pool)
        async with pool.stream("trail", {"n": 3}) as items:
            assert [item async for item in items] == [0, 1, 2]
    (finished,) = of(heard, CallFinished)
    assert (finished.items, finished.outcome) == (3, "ok")


async def test_a_worker_that_has_done_its_share() -> None:
    pool = make_pool("forkserver", size=1, max_calls=1)
    async with pool:
        heard = listening(pool)
        await pool.call("echo", {})
        await until(pool, lambda stats: bool(of(heard, WorkerRecycled)))
    assert of(heard, WorkerRecycled)[0].reason == "recycled_calls"


async def test_an_environment_that_is_unfit() -> None:
    pool = make_pool("forkserver", "no_such_module")
    heard = listening(pool)
    async with pool:
        with pytest.raises(EnvironmentInvalid):
            await pool.call("echo", {})
    (validated,) = of(heard, EnvironmentValidated)
    assert "no_such_module" in validated.problems[0]


async def test_a_crash_loop() -> None:
    pool = make_pool(
        "forkserver", "bridge.faulty", size=1, options={"fail_start": "no weights"}, max_restarts=1
    )
    heard = listening(pool)
    async with pool:
        with suppress(WorkerStartError, PoolTimeout):
            await pool.call("echo", {})
        await until(pool, lambda stats: bool(of(heard, PoolFailed)))
    assert "no weights" in of(heard, PoolFailed)[0].cause
    assert not of(heard, WorkerLost)[0].was_ready


async def test_a_circuit_opens() -> None:
    breaker = Breaker(failures=1, open_for=60)
    pool = make_pool("forkserver", "bridge.faulty", size=1, breaker=breaker)
    async with pool:
        heard = listening(pool)
        with pytest.raises(BrokenWorkerError):
            await pool.call("crash", {})
        with pytest.raises(CircuitOpen):
            await pool.call("crash", {})
    assert of(heard, CircuitOpened)[0].command == "crash"


async def test_a_lease_that_is_held_too_long() -> None:
    pool = make_pool("forkserver", size=1, leak_threshold=0.05)
    async with pool:
        heard = listening(pool)
        async with pool.checkout():
            await until(pool, lambda stats: bool(of(heard, LeaseLeaked)))
    (leaked,) = of(heard, LeaseLeaked)
    assert "test_a_lease_that_is_held_too_long" in leaked.stack


async def test_a_ping() -> None:
    pool = make_pool("forkserver", size=1, ping_interval=0.05)
    async with pool:
        await pool.wait_ready()
        heard = listening(pool)
        await until(pool, lambda stats: bool(of(heard, PingAnswered)))
    assert 0 < of(heard, PingAnswered)[0].seconds < 5
