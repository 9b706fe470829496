"""The circuit breaker, against real workers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from pool import (
    Breaker,
    BrokenWorkerError,
    CallTimeout,
    CircuitOpen,
    LeaseClosed,
    PoolError,
    RemoteError,
    RequestError,
    ResultTypeError,
    SyncWorkerPool,
    WorkerPool,
)
from pool.errors import ProtocolError
from tests.contract.pools import make_pool, until

FOR_EVER = 3600.0
"""Seconds; longer than any test."""
SHORT = 0.05


def guarded(
    *, bridge: str = "bridge.faulty", size: int = 2, open_for: float = FOR_EVER, **settings: Any
) -> WorkerPool:
    breaker = Breaker(**{"failures": 2, "successes": 1, "open_for": open_for, **settings})
    return make_pool("forkserver", bridge, size=size, breaker=breaker)


async def fails(call: Callable[..., Any], command: str = "sleep", **args: Any) -> PoolError:
    """Call a command, by default one that refuses its arguments, and return its error."""
    with pytest.raises(PoolError) as caught:
        await call(command, args)
    return caught.value


async def open_circuit(pool: WorkerPool) -> None:
    """Let `sleep` fail until its circuit is open."""
    for _ in range(2):
        assert isinstance(await fails(pool.call), RemoteError)
    assert pool.stats().circuits["sleep"] in ("open", "half-open")


async def half_open(pool: WorkerPool) -> None:
    await open_circuit(pool)
    await until(pool, lambda stats: stats.circuits == {"sleep": "half-open"})


async def test_without_a_breaker_a_command_may_fail_for_ever() -> None:
    async with make_pool("forkserver") as pool:
        for _ in range(10):
            assert isinstance(await fails(pool.call, "fail", message="no"), RemoteError)
        assert pool.stats().circuits == {}


async def test_a_command_that_keeps_failing_is_refused_before_anything_else() -> None:
    async with guarded(bridge="bridge.echo") as pool:
        for _ in range(2):
            await fails(pool.call, "fail", message="the caller's data")
        assert pool.stats().circuits == {"fail": "open"}
        before = pool.stats().checkouts
        said = r"'fail' kept failing, the last with RemoteError \(ValueError\)"
        with pytest.raises(CircuitOpen, match=said) as caught:
            await pool.call("fail", {"message": object()})  # which cannot be encoded
        assert caught.value.command == "fail"
        assert FOR_EVER - 30 < caught.value.retry_after <= FOR_EVER
        assert "the caller's data" not in str(caught.value)
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
        stats = pool.stats()
        assert stats.checkouts == {"ok": before["ok"] + 1}
        assert stats.calls == {"error": 2, "ok": 1, "circuit_open": 1}


async def test_a_lease_and_the_pool_share_a_circuit() -> None:
    async with guarded() as pool, pool.checkout() as worker:
        await fails(worker.call)
        await fails(pool.call)
        for call in (worker.call, pool.call):
            with pytest.raises(CircuitOpen):
                await call("sleep", {"seconds": 0.0})
        assert await worker.call("echo") == {}


@pytest.mark.parametrize(
    ("command", "args", "timeout", "kind"),
    [
        ("crash", {}, None, BrokenWorkerError),
        ("garbage", {}, None, ProtocolError),
        ("hang", {}, SHORT, CallTimeout),
    ],
)
async def test_lost_workers_and_timeouts_count(
    command: str, args: dict[str, Any], timeout: float | None, kind: type[PoolError]
) -> None:
    async with guarded(size=3) as pool:
        await pool.wait_ready()
        for _ in range(2):
            with pytest.raises(kind):
                await pool.call(command, args, timeout=timeout)
        with pytest.raises(CircuitOpen, match=kind.__name__):
            await pool.call(command, args)


async def test_a_call_counts_once_however_often_it_was_made() -> None:
    async with guarded(failures=2) as pool:
        with pytest.raises(BrokenWorkerError):
            await pool.call("crash", idempotent=True, attempts=3)
        assert pool.stats().retries == 2
        assert pool.stats().circuits == {}


async def test_what_does_not_blame_the_command_does_not_count() -> None:
    async with guarded(failures=1) as pool:
        for senseless in ([1], {"x": object()}):
            with pytest.raises(RequestError):
                await pool.call("echo", senseless)
        no_names: list[Any] = [[], "", 7]
        for no_name in no_names:
            with pytest.raises(RequestError, match="a command is a name"):
                await pool.call(no_name)
        with pytest.raises(ResultTypeError):
            await pool.call("echo", {"a": "x"}, result_type=dict[str, int])
        assert pool.stats().circuits == {}


async def test_a_call_that_a_lease_never_sent_does_not_count() -> None:
    async with guarded(failures=1, counts=(CallTimeout, BrokenWorkerError)) as pool:
        async with pool.checkout() as worker:
            running = asyncio.create_task(worker.call("sleep", {"seconds": FOR_EVER}))
            await until(pool, lambda stats: stats.inflight_calls == 1)
            with pytest.raises(CallTimeout, match="was not sent"):
                await worker.call("echo", timeout=SHORT)
        with pytest.raises(LeaseClosed):
            await running
        async with pool.checkout() as worker:
            await fails(worker.call, "crash")
            with pytest.raises(BrokenWorkerError, match="was not sent"):
                await worker.call("echo")
        assert pool.stats().circuits == {"crash": "open"}


async def test_a_function_chooses_what_counts() -> None:
    def counts(error: BaseException) -> bool:
        return isinstance(error, RemoteError) and error.error_type != "ValueError"

    async with guarded(failures=1, counts=counts) as pool:
        await fails(pool.call, "fail", message="no")
        assert pool.stats().circuits == {}
        await fails(pool.call)
        assert pool.stats().circuits == {"sleep": "open"}


async def test_successful_probes_close_it() -> None:
    async with guarded(open_for=SHORT, successes=2) as pool:
        await half_open(pool)
        for after in ({"sleep": "half-open"}, {}):
            assert await pool.call("sleep", {"seconds": 0.0}) == {"slept": 0.0}
            assert pool.stats().circuits == after
        # From here on failures are counted anew.
        assert isinstance(await fails(pool.call), RemoteError)
        assert pool.stats().circuits == {}


async def test_a_failing_probe_opens_it_again() -> None:
    async with guarded(open_for=SHORT) as pool:
        await half_open(pool)
        assert isinstance(await fails(pool.call), RemoteError)
        assert pool.stats().circuits["sleep"] in ("open", "half-open")
        await until(pool, lambda stats: stats.circuits == {"sleep": "half-open"})
        assert await pool.call("sleep", {"seconds": 0.0}) == {"slept": 0.0}


async def test_of_callers_at_the_same_time_as_many_probe_as_successes_are_missing() -> None:
    async with guarded(open_for=SHORT, successes=2) as pool:
        await pool.wait_ready()
        await half_open(pool)
        calls = [asyncio.create_task(pool.call("sleep", {"seconds": 0.1})) for _ in range(10)]
        # The probes run at the same time.
        stats = await until(pool, lambda stats: stats.inflight_calls == 2)
        assert stats.calls["circuit_open"] == 8
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[:2] == [{"slept": 0.1}] * 2
        refusals = [error for error in results[2:] if isinstance(error, CircuitOpen)]
        assert len(refusals) == 8
        assert all(0 < error.retry_after <= SHORT for error in refusals)
        assert pool.stats().circuits == {}


async def test_a_cancelled_probe_gives_its_place_back() -> None:
    async with guarded(open_for=SHORT) as pool:
        await pool.wait_ready()
        await half_open(pool)
        probe = asyncio.create_task(pool.call("sleep", {"seconds": FOR_EVER}))
        await until(pool, lambda stats: stats.inflight_calls == 1)
        with pytest.raises(CircuitOpen, match="as many probes running as may"):
            await pool.call("sleep", {"seconds": 0.0})
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert pool.stats().circuits == {"sleep": "half-open"}
        assert await pool.call("sleep", {"seconds": 0.0}) == {"slept": 0.0}
        assert pool.stats().circuits == {}


async def test_a_function_that_raises_does_not_keep_a_probe_s_place() -> None:
    def counts(error: Exception) -> bool:
        if broken:
            raise ZeroDivisionError
        return True

    broken = False
    async with guarded(open_for=SHORT, counts=counts) as pool:
        await half_open(pool)
        broken = True
        with pytest.raises(ZeroDivisionError):
            await pool.call("sleep")
        assert await pool.call("sleep", {"seconds": 0.0}) == {"slept": 0.0}


async def test_opening_and_closing_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridgepool")
    async with guarded(open_for=SHORT) as pool:
        await half_open(pool)
        await pool.call("sleep", {"seconds": 0.0})
    about = [record for record in caplog.records if "calls of 'sleep'" in record.message]
    assert [record.levelname for record in about] == ["WARNING", "INFO"]
    assert "RemoteError (ArgumentError); they are refused for 0.05 s" in about[0].message


def test_synchronous_code_has_the_same_breaker() -> None:
    breaker = Breaker(failures=1, open_for=FOR_EVER)
    with SyncWorkerPool("bridge.echo", size=1, breaker=breaker) as pool:
        with pytest.raises(RemoteError):
            pool.call("fail", {"message": "no"})
        with pool.checkout() as worker, pytest.raises(CircuitOpen):
            worker.call("fail", {"message": "no"})
        assert pool.stats().circuits == {"fail": "open"}
