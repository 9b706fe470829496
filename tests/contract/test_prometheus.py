"""The metrics of pools with real children."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly

from pool import CallTimeout, PoolTimeout, SyncWorkerPool, WorkerPool
from pool.errors import BrokenWorkerError, WorkerStartError
from pool.telemetry.metrics import METRICS
from pool.telemetry.prometheus import PoolCollector
from tests.contract.pools import LAUNCHERS, make_pool, until
from tests.contract.scraping import collected, value, values


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_call_shows_in_its_metrics(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    collector = PoolCollector(pool)
    async with pool:
        for _ in range(3):
            await pool.call("echo", {"text": "a"})
        text = collected(collector)
    assert value(text, "calls_total", command="echo", outcome="ok") == 3
    assert value(text, "call_duration_seconds_count", command="echo", outcome="ok") == 3
    assert value(text, "request_bytes_sum", command="echo") == 3 * len('{"text":"a"}')
    assert value(text, "response_bytes_count", command="echo") == 3
    assert value(text, "checkouts_total", outcome="ok") == 3
    assert value(text, "checkout_wait_seconds_count") == 3
    assert value(text, "checkout_held_seconds_count") == 3
    assert value(text, "worker_starts_total", outcome="ok") == 1
    assert value(text, "worker_start_seconds_count", phase="ready") == 1
    assert value(text, "environment_validations_total", outcome="ok") == 1
    assert value(text, "workers", state="idle") == 1
    assert value(text, "state", state="open", workerpool_state="open") == 1
    collector.detach()


async def test_every_metric_is_there_in_both_formats() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    registry = CollectorRegistry()
    collector = PoolCollector(pool)
    registry.register(collector)
    async with pool:
        async with pool.stream("trail", {"n": 3}) as items:
            assert [item async for item in items] == [0, 1, 2]
        text = generate_latest(registry).decode()
        strict = as_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    found = parse_strictly(strict)  # type: ignore[no-untyped-call]
    families = {family.name: family for family in found}
    assert {*families} == {
        "workerpool" if metric.name == "info" else f"workerpool_{metric.name}" for metric in METRICS
    }
    assert families["workerpool_state"].type == "stateset"
    assert value(text, "stream_items_total", command="trail") == 3
    for family in families.values():
        assert all("pool" in sample.labels for sample in family.samples)
    assert not re.search(r'\b(pid|worker)="', text)
    collector.detach()


async def test_every_checkout_ends_in_the_histograms_also_one_that_was_given_up() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    collector = PoolCollector(pool)
    async with pool:
        await pool.wait_ready()
        with pytest.raises(CallTimeout):
            await pool.call("late_reply", {"seconds": 0.1}, timeout=0.02)
        await until(pool, lambda stats: stats.late_replies == 1)
        with pytest.raises(CallTimeout):
            async with pool.checkout() as worker:
                await worker.call("late_reply", {"seconds": 0.1}, timeout=0.02)
        text = collected(collector)
    assert value(text, "checkouts_total", outcome="ok") == 2
    assert value(text, "checkout_held_seconds_count") == 2
    assert value(text, "late_replies_total") == 1
    assert value(text, "calls_total", command="late_reply", outcome="timeout") == 2
    assert value(text, "response_bytes_count", command="late_reply") is None
    collector.detach()


async def test_a_loss_a_replacement_and_a_retry() -> None:
    pool = make_pool("forkserver", "bridge.faulty", size=1)
    collector = PoolCollector(pool)
    async with pool:
        await pool.wait_ready()
        with pytest.raises(BrokenWorkerError):
            await pool.call("crash", {}, idempotent=True, attempts=2)
        await until(pool, lambda stats: stats.idle == 1)
        text = collected(collector)
    assert value(text, "retries_total", reason="worker_lost") == 1
    assert value(text, "calls_total", command="crash", outcome="worker_lost") == 2
    assert value(text, "worker_exits_total", reason="crash") == 2
    assert value(text, "replacement_seconds_count") == 2
    collector.detach()


async def test_starts_that_fail() -> None:
    pool = make_pool(
        "forkserver", "bridge.faulty", size=1, options={"fail_start": "no"}, max_restarts=1
    )
    collector = PoolCollector(pool)
    async with pool:
        with pytest.raises((WorkerStartError, PoolTimeout)):
            await pool.call("echo", {}, timeout=5)
        await until(pool, lambda stats: stats.state.value == "failed")
        text = collected(collector)
    assert value(text, "worker_starts_total", outcome="failed") == 2
    assert value(text, "worker_starts_total", outcome="ok") == 0
    assert value(text, "restarts_in_window") == 2
    backoff = value(text, "backoff_seconds")
    assert backoff is not None
    assert 0 < backoff <= 10
    collector.detach()


async def test_who_waits_and_what_is_used() -> None:
    pool = make_pool("forkserver", size=1)
    collector = PoolCollector(pool)
    async with pool, pool.checkout():
        waiting = asyncio.create_task(pool.call("echo", {}))
        await until(pool, lambda stats: stats.waiting == 1 and stats.oldest_waiting > 0.01)
        text = collected(collector)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert value(text, "pending_checkouts") == 1
    assert value(text, "oldest_pending_seconds") == pytest.approx(0.01, abs=5)
    assert value(text, "utilization_ratio") == 1
    resident = value(text, "worker_resident_bytes", slot="0")
    assert resident is not None
    assert resident > 1_000_000
    collector.detach()


async def test_processor_time_outlives_its_worker() -> None:
    pool = make_pool("spawn", size=1)
    collector = PoolCollector(pool)
    async with pool:
        await pool.call("echo", {})
        before = value(collected(collector), "worker_cpu_seconds_total", slot="0")
        assert before is not None
        assert before > 0  # an interpreter has started
        (worker,) = pool.stats().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await until(pool, lambda stats: stats.replacements == 1 and stats.idle == 1)
        found = values(collected(collector))
    totals = [n for (name, _), n in found.items() if name == "workerpool_worker_cpu_seconds_total"]
    assert sum(totals) > before
    collector.detach()


async def test_the_lag_of_the_event_loop_is_measured_while_it_is_attached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pool.telemetry.lag.INTERVAL", 0.001)
    async with make_pool("forkserver", size=1) as pool:
        collector = PoolCollector(pool)
        await until(
            pool, lambda _: bool(value(collected(collector), "event_loop_lag_seconds_count"))
        )
        collector.detach()
        count = value(collected(collector), "event_loop_lag_seconds_count")
        await asyncio.sleep(0.01)
        assert value(collected(collector), "event_loop_lag_seconds_count") == count


async def test_the_lag_is_not_measured_after_the_pool_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pool.telemetry.lag.INTERVAL", 0.001)
    pool = make_pool("forkserver", size=1)
    collector = PoolCollector(pool)
    async with pool:
        await pool.call("echo", {})
    count = value(collected(collector), "event_loop_lag_seconds_count")
    await asyncio.sleep(0.01)
    assert value(collected(collector), "event_loop_lag_seconds_count") == count
    collector.detach()


async def test_nothing_is_left_listening() -> None:
    async with make_pool("forkserver", size=1) as pool:
        collector = PoolCollector(pool)
        collector.detach()
        await pool.call("echo", {})
        text = collected(collector)
    assert value(text, "call_duration_seconds_count", command="echo", outcome="ok") is None
    assert value(text, "calls_total", command="other", outcome="ok") == 1


async def test_two_pools_in_one_collector() -> None:
    first, second = (make_pool("forkserver", size=1, name=name) for name in ("a", "b"))
    collector = PoolCollector(first, second, commands=["echo"])
    async with first, second:
        await first.call("echo", {})
        await second.call("pid", {})
        text = collected(collector)
    assert 'workerpool_calls_total{command="echo",outcome="ok",pool="a"} 1.0' in text
    assert 'workerpool_calls_total{command="other",outcome="ok",pool="b"} 1.0' in text
    assert text.count("# HELP workerpool_calls_total") == 1
    collector.detach()


async def test_before_the_pool_is_open_there_is_nothing_and_after_it_is_closed_all() -> None:
    pool = make_pool("forkserver", size=1)
    collector = PoolCollector(pool)
    assert values(collected(collector)) == {}
    async with pool:
        await pool.call("echo", {})
    text = collected(collector)
    assert value(text, "worker_exits_total", reason="drain") == 1
    assert value(text, "state", state="closed", workerpool_state="closed") == 1
    collector.detach()


async def test_from_another_thread() -> None:
    async with make_pool("forkserver", size=1) as pool:
        await pool.call("echo", {})
        collector = await asyncio.to_thread(PoolCollector, pool)
        await pool.call("echo", {})
        text = await asyncio.to_thread(collected, collector)
        assert value(text, "calls_total", command="echo", outcome="ok") == 1
        assert value(text, "calls_total", command="other", outcome="ok") == 1
        await asyncio.to_thread(collector.detach)


async def test_a_loop_that_is_stuck_is_not_waited_for() -> None:
    async with make_pool("forkserver", size=1) as pool:
        failed: list[BaseException] = []

        def look() -> None:
            try:
                pool.on_loop(pool.stats, timeout=0.01)
            except TimeoutError as error:
                failed.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()  # the loop is stuck in here
        assert len(failed) == 1


def test_of_a_pool_for_synchronous_code() -> None:
    pool = SyncWorkerPool("bridge.echo", size=1)
    collector = PoolCollector(pool)
    with pool:
        pool.call("echo", {})
        text = collected(collector)
        collector.detach()
    assert value(text, "calls_total", command="echo", outcome="ok") == 1


async def test_what_stats_count_is_what_metrics_say() -> None:
    pool = WorkerPool("bridge.faulty", size=2, start_method="forkserver", max_waiting=0)
    collector = PoolCollector(pool)
    calls = [pool.call, pool.call]
    async with pool:
        for timeout in (5, 0.01):
            done = (call("late_reply", {"seconds": 0.05}, timeout=timeout) for call in calls * 5)
            await asyncio.gather(*done, return_exceptions=True)
        stats, text = pool.stats(), collected(collector)
        found = values(text)
    for metric, counts in (("calls", stats.calls), ("checkouts", stats.checkouts)):
        for outcome, count in counts.items():
            told = (
                number
                for (name, labels), number in found.items()
                if name == f"workerpool_{metric}_total" and ("outcome", outcome) in labels
            )
            assert sum(told) == count
    collector.detach()


def test_the_sources_name_no_registry_of_the_whole_process() -> None:
    for path in Path("pool/telemetry").glob("*.py"):
        assert "REGISTRY" not in path.read_text()
