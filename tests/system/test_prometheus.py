"""A real Prometheus scrapes a pool under load."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pool import WorkerPool
from pool.cli.stress.chaos import regular
from pool.cli.stress.load import Load
from pool.cli.stress.operations import RunCommand
from pool.cli.stress.report import figures
from pool.cli.stress.run import conduct
from pool.telemetry.metrics import METRICS
from pool.telemetry.prometheus import PoolCollector
from tests.system.conftest import program
from tests.system.prometheus import Prometheus, scraping

FOLDER = Path(__file__).parents[2] / "telemetry"
LOAD = Load(
    operations=None,
    duration=3.0,
    concurrency=16,
    rate=None,
    timeout=10.0,
    retries=0,
    seed=0,
)


def promtool(*arguments: str, text: str | None = None) -> str:
    """Run it; return all that it says."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def stressed(pool: WorkerPool) -> dict[str, Any]:
    """The stress command's own report of a load with kills."""
    plan = regular("kill", 0.5)
    run = await conduct(pool, LOAD, RunCommand("echo"), [{"text": "a" * 200}], plan, 10.0)
    return figures(run)


@pytest.fixture
def pool() -> WorkerPool:
    return WorkerPool("bridge.faulty", size=4, overflow=2, ping_interval=0.1, name="p")


@pytest.fixture
async def prometheus(pool: WorkerPool, tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with (
        pool.serve_telemetry() as server,
        scraping(f"{server.host}:{server.port}", tmp_path) as prometheus,
    ):
        yield prometheus


@pytest.mark.timeout(60)
async def test_what_prometheus_has_agrees_with_the_report_of_the_load(
    pool: WorkerPool, prometheus: Prometheus
) -> None:
    report = await stressed(pool)
    await prometheus.becomes('workerpool_state{state="closed"}', 1)
    for query, wanted in totals(report):
        assert await prometheus.value(query) == wanted, query
    exits = sum(pool.stats().worker_exits.values())
    assert await prometheus.value("sum(workerpool_worker_exits_total)") == exits
    assert await prometheus.value("max_over_time(workerpool_utilization_ratio[1m]) > 0")
    assert await prometheus.value("min_over_time(up[1m])") == 1
    await every_metric_is_there(prometheus)
    assert report["kills"] >= 3
    assert report["conserved"], report["differences"]


def totals(report: dict[str, Any]) -> Iterator[tuple[str, float]]:
    calls = 'sum(workerpool_calls_total{outcome="%s"})'
    yield calls % "ok", report["successful"]
    yield calls % "worker_lost", report["errors"].get("BrokenWorkerError", 0)
    yield 'sum(workerpool_checkouts_total{outcome="ok"})', report["operations"]
    yield "sum(workerpool_worker_starts_total)", report["worker_starts"]
    yield "sum(workerpool_late_replies_total)", report["late_replies"]
    ended = 'workerpool_call_duration_seconds_count{command="echo",outcome="ok"}'
    yield ended, report["successful"]


async def every_metric_is_there(prometheus: Prometheus) -> None:
    """By the names that a query has for them."""
    endings = {"counter": "_total", "histogram": "_bucket"}
    names = set(await prometheus.get("label/__name__/values"))
    wanted = {f"workerpool_{metric.name}{endings.get(metric.kind, '')}" for metric in METRICS}
    wanted -= {"workerpool_stream_items_total"}  # see below
    assert not wanted - names


@pytest.mark.timeout(60)
async def test_items_of_streams_reach_prometheus(pool: WorkerPool, prometheus: Prometheus) -> None:
    async with pool, pool.stream("trail", {"n": 5}) as items:
        assert [item async for item in items] == [0, 1, 2, 3, 4]
    await prometheus.becomes('workerpool_stream_items_total{command="trail"}', 5)


async def test_promtool_has_nothing_to_say_about_the_metrics() -> None:
    pool = WorkerPool("bridge.faulty", size=1)
    registry = CollectorRegistry()
    collector = PoolCollector(pool)
    registry.register(collector)
    async with pool:
        async with pool.stream("trail", {"n": 2}) as items:
            assert [item async for item in items] == [0, 1]
        text = generate_latest(registry).decode()
    collector.detach()
    assert promtool("check", "metrics", text=text) == ""


def test_promtool_accepts_the_example_and_the_alerts() -> None:
    assert "SUCCESS" in promtool("check", "config", str(FOLDER / "prometheus.yml"))
    assert "SUCCESS" in promtool("check", "rules", str(FOLDER / "alerts.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "alerts_test.yml"))
