"""A stream's first item beside an echo, and the items of a long one, on one worker.

`python -m benchmarks.bench_stream [--quick]` writes `benchmarks/results/stream.json`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

CONTENDERS = ["bridgepool, stream", "bridgepool, stream, uvloop"]
COLUMNS = [
    Column("echo, P50 µs", "echo_us"),
    Column("first item, P50 µs", "first_us"),
    Column("first item / echo", "ratio"),
    Column("items/s", "items_per_s"),
]


async def measure(contender: Any, rounds: int, items: int) -> dict[str, Any]:
    """The median times of an echo and of a first item, in turn, and items in a second."""
    await contender.start(1, "echo")
    echo: list[float] = []
    first: list[float] = []
    for _ in range(rounds):
        echo.append(await _timed(lambda: contender.alone({"n": 1})))
        first.append(await _timed(contender.first))
    began = time.perf_counter()
    await contender.read(items)
    took = time.perf_counter() - began
    echo_us, first_us = statistics.median(echo) * 1e6, statistics.median(first) * 1e6
    return {
        "echo_us": echo_us,
        "first_us": first_us,
        "ratio": first_us / echo_us,
        "items_per_s": items / took,
    }


async def _timed(action: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await action()
    return time.perf_counter() - began


def plan(*, quick: bool) -> list[Sample]:
    rounds, items = (300, 50_000) if quick else (3000, 200_000)
    settings = (("rounds", rounds), ("items", items))
    return [Sample("bench_stream", name, settings) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    title = "Streams, one worker"
    return Report(
        [compare(title, answers, COLUMNS)], {f"{title}: items/s": (answers, "items_per_s")}
    )


if __name__ == "__main__":
    main("stream")
