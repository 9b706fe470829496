"""Echo of 200 bytes, `async def`: 128 tasks over 8 workers that take 16 calls at a time.

Beside the bare loop with one call at a time on each of 8 children.
`python -m benchmarks.bench_concurrent [--quick]` writes `benchmarks/results/concurrent.json`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.bench_echo import OBJECT
from benchmarks.load import WARM_UP, storm
from benchmarks.pools import LIMIT, Contender
from benchmarks.processes import cpu_ns, descendants
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZE = 8
CALLERS = 128
CONTENDERS = [
    "bridgepool, call, 16 on each",
    "bridgepool, call, 16 on each, uvloop",
    "bridgepool, call",
    LIMIT,
    f"{LIMIT}, uvloop",
]
COLUMNS = [
    Column("calls/s", "calls_per_s"),
    Column("CPU µs a call, all processes", "cpu_us"),
    Column("calls/s / limit's", "calls_per_s", over=LIMIT),
]


async def measure(contender: Contender, seconds: float) -> dict[str, Any]:
    """Calls answered in a second, and the processor time of one over all processes."""
    await contender.start(SIZE, "echo")
    await storm(contender, OBJECT, WARM_UP, CALLERS)
    processes = [os.getpid(), *descendants()]
    cpu, began = sum(map(cpu_ns, processes)), time.perf_counter()
    done = await storm(contender, OBJECT, seconds, CALLERS)
    took, cpu = time.perf_counter() - began, sum(map(cpu_ns, processes)) - cpu
    return {"calls_per_s": done / took, "cpu_us": cpu / done / 1000}


def plan(*, quick: bool) -> list[Sample]:
    seconds = 0.3 if quick else 0.8
    return [Sample("bench_concurrent", name, (("seconds", seconds),)) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    title = f"Echo of 200 bytes, {SIZE} workers, {CALLERS} tasks"
    return Report(
        [compare(title, answers, COLUMNS)], {f"{title}: calls/s": (answers, "calls_per_s")}
    )


if __name__ == "__main__":
    main("concurrent")
