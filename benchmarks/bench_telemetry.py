"""What it costs to be watched: echo of 200 bytes, 64 tasks over 8 workers, watched in turns.

One pool in one process; who watches it changes every slice, so that what the machine does
beside it befalls all alike. Each slice is compared with the unwatched one of its round.
`python -m benchmarks.bench_telemetry [--quick]` writes `benchmarks/results/telemetry.json`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.bench_echo import OBJECT
from benchmarks.load import WARM_UP, storm
from benchmarks.pools.ours import Calls
from benchmarks.report import Report, cell, main, remarks
from benchmarks.results import Table
from benchmarks.running import Answers, Sample, by_contender
from pool import WorkerPool

CONTENDER = "bridgepool, call"
SIZE = 8
ROUNDS = 1
"""Processes; its slices are many."""

NOBODY = "nobody"


@contextmanager
def nobody(pool: WorkerPool) -> Iterator[None]:
    yield


@contextmanager
def metrics(pool: WorkerPool) -> Iterator[None]:
    """Structlog at info, and Prometheus, which looks once in each slice."""
    import structlog
    from prometheus_client import CollectorRegistry, generate_latest

    from pool.telemetry.prometheus import PoolCollector
    from pool.telemetry.structlog import log_events

    end = log_events(pool, structlog.get_logger(), "info")
    registry, collector = CollectorRegistry(), PoolCollector(pool)
    registry.register(collector)
    try:
        yield
        generate_latest(registry)
    finally:
        end()
        collector.detach()


@contextmanager
def profiler(pool: WorkerPool) -> Iterator[None]:
    with pool.profile():
        yield


WATCHERS = {
    NOBODY: nobody,
    "structlog at info, Prometheus": metrics,
    "the profiler": profiler,
    "the profiler, off again": nobody,
}


async def measure(contender: Calls, seconds: float, rounds: int) -> dict[str, Any]:
    """Calls a second and processor time of a call here, with each watcher over those without."""
    await contender.start(SIZE, "echo")
    await storm(contender, OBJECT, WARM_UP)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in WATCHERS}
    names = list(WATCHERS)
    for number in range(rounds):
        # Each comes first, second ... as often as the others.
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            with WATCHERS[name](contender.pool):
                taken[name].append(await _slice(contender, seconds))
    return {name: _against(taken[name], taken[NOBODY]) for name in names}


async def _slice(contender: Calls, seconds: float) -> tuple[float, float]:
    cpu, began = time.process_time(), time.perf_counter()
    done = await storm(contender, OBJECT, seconds)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return done / took, cpu / done * 1e6


def _against(
    watched: list[tuple[float, float]], alone: list[tuple[float, float]]
) -> dict[str, float]:
    pairs = list(zip(watched, alone, strict=True))
    return {
        "calls_per_s": statistics.median(rate for rate, _ in watched),
        "cpu_us": statistics.median(cpu for _, cpu in watched),
        "slower": statistics.median(1 - one[0] / other[0] for one, other in pairs) * 100,
        "cpu_more": statistics.median(one[1] / other[1] - 1 for one, other in pairs) * 100,
    }


def plan(*, quick: bool) -> list[Sample]:
    settings = (("seconds", 0.2 if quick else 1.0), ("rounds", 4 if quick else 16))
    return [Sample("bench_telemetry", CONTENDER, settings, deadline=120.0)]


def report(taken: Answers) -> Report:
    (samples,) = by_contender(taken, {}).values()
    title = f"Who watches: echo of 200 bytes, {SIZE} workers, 64 tasks"
    figures = {
        "calls/s": "calls_per_s",
        "CPU µs a call, caller": "cpu_us",
        "fewer calls %": "slower",
        "more CPU %": "cpu_more",
    }
    table = Table(title, ["", *figures, ""])
    answers = {name: [sample.get(name, sample) for sample in samples] for name in WATCHERS}
    for name, answered in answers.items():
        cells = [cell(answered, figure) for figure in figures.values()]
        table.add(name, *cells, remarks(answered))
    return Report([table], {f"{title}: calls/s": (answers, "calls_per_s")})


if __name__ == "__main__":
    main("telemetry")
