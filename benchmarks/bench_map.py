"""Calls that do nothing for every item of a dataset, 2 workers.

`python -m benchmarks.bench_map [--quick]` writes `benchmarks/results/map.json`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.processes import cpu_ns, descendants
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZE = 2
OURS = "bridgepool, map"
CONTENDERS = [
    OURS,
    "bridgepool, map, uvloop",
    "multiprocessing.Pool, imap",
    "ProcessPoolExecutor, map",
    "loky, map",
]
COLUMNS = [
    Column("items/s", "items_per_s"),
    Column("CPU µs an item, all processes", "cpu_us"),
    Column("items/s / ours", "items_per_s", over=OURS),
]


async def measure(contender: Any, items: int) -> dict[str, Any]:
    """Items in a second, and the processor time of one over all processes."""
    await contender.start(SIZE, "echo")
    await contender.map({"n": n} for n in range(items // 10))
    processes = [os.getpid(), *descendants()]
    cpu, began = sum(map(cpu_ns, processes)), time.perf_counter()
    count = await contender.map({"n": n} for n in range(items))
    took, cpu = time.perf_counter() - began, sum(map(cpu_ns, processes)) - cpu
    if count != items:
        raise ValueError(f"{count} results came of {items}")
    return {"items_per_s": items / took, "cpu_us": cpu / items / 1000}


def plan(*, quick: bool) -> list[Sample]:
    items = 50_000 if quick else 200_000
    return [Sample("bench_map", name, (("items", items),)) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    title = f"Echo of a tiny object for each item of a dataset, {SIZE} workers"
    return Report(
        [compare(title, answers, COLUMNS)], {f"{title}: items/s": (answers, "items_per_s")}
    )


if __name__ == "__main__":
    main("map")
