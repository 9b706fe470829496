"""1,000 calls of 50 ms offered at once to 8 workers: how far over the ideal the last one is done.

`python -m benchmarks.bench_offered [--quick]` writes `benchmarks/results/offered.json`.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import anyio

from benchmarks.load import WARM_UP, storm
from benchmarks.pools import Contender
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZE = 8
PAUSE = 0.05
ROUNDS = 1
CONTENDERS = [
    "bridgepool, checkout",
    "bridgepool, 2 workers, 500 on each",
    "limit: add_reader, pipe",
    "multiprocessing.Pool",
    "anyio.to_process",
    "ProcessPoolExecutor spawn",
]
COLUMNS = [
    Column("last done after ms", "took_ms"),
    Column("over the ideal %", "over_percent"),
    Column("answered", "answered"),
]


async def measure(contender: Contender, calls: int) -> dict[str, Any]:
    """Milliseconds until the last of the calls is done, and the percentage over the ideal."""
    await contender.start(SIZE, "nap")
    await storm(contender, 0.005, WARM_UP)
    outcomes: Counter[str] = Counter()

    async def caller() -> None:
        try:
            await contender.call(PAUSE)
        except Exception as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["answered"] += 1

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(calls):
            tasks.start_soon(caller)
    took = time.perf_counter() - began
    ideal = calls * PAUSE / SIZE
    return {
        "took_ms": took * 1000,
        "over_percent": (took / ideal - 1) * 100,
        "answered": outcomes["answered"],
        "outcomes": outcomes,
    }


def plan(*, quick: bool) -> list[Sample]:
    calls = 200 if quick else 1000
    return [Sample("bench_offered", name, (("calls", calls),)) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    calls = dict(next(iter(taken)).settings)["calls"]
    title = (
        f"{calls:,} calls of 50 ms at once, 8 workers, ideal {calls * PAUSE / SIZE * 1000:,.0f} ms"
    )
    return Report(
        [compare(title, answers, COLUMNS)], {"Over the ideal, %": (answers, "over_percent")}
    )


if __name__ == "__main__":
    main("offered")
