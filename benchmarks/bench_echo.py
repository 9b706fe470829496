"""Echo of an object of 200 bytes on one warm worker, one call after the other.

Two regimes that are not to be mixed: on one core a wake-up costs little, and the figures show the
software; on two cores a wake-up of another core, dear on virtual machines, may hide it.
`python -m benchmarks.bench_echo [--quick]` writes `benchmarks/results/echo.json`.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

from benchmarks.pools import LIMIT, OURS, Contender
from benchmarks.processes import cpu_ns, descendants, pin
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

OBJECT = {"text": "x" * 174, "number": 12345}
"""200 bytes as JSON."""

REGIMES = {"one core": 1, "two cores": 2}
CONTENDERS = [
    "bridgepool, checkout",
    "bridgepool, call",
    "bridgepool, call, uvloop",
    "limit: blocking pipe",
    "limit: add_reader, pipe",
    "limit: add_reader, pipe, uvloop",
    "limit: add_reader, socketpair",
    "limit: asyncio streams",
    "limit: asyncio streams, uvloop",
    "multiprocessing.Pool",
    "multiprocessing.connection",
    "anyio.to_process",
    "trio-parallel",
    "ProcessPoolExecutor spawn",
    "ProcessPoolExecutor forkserver",
    "pebble",
    "mpire",
    "loky",
]
COLUMNS = [
    Column("P50 µs", "p50_us"),
    Column("P99 µs", "p99_us"),
    Column("CPU µs, parent", "parent_us"),
    Column("CPU µs, child", "child_us"),
    Column("P50 / limit's", "p50_us", over=LIMIT),
    Column("P50 / ours", "p50_us", over=OURS),
]


async def measure(contender: Contender, regime: str, seconds: float) -> dict[str, Any]:
    """Percentiles of a call's time, and what it cost on either side, in microseconds."""
    await contender.start(1, "echo")
    await _calls(contender, 0.1)
    children = descendants()
    _pin(children, REGIMES[regime])
    await _calls(contender, 0.1)
    parent, child = cpu_ns(os.getpid()), sum(map(cpu_ns, children))
    took = await _calls(contender, seconds)
    parent, child = cpu_ns(os.getpid()) - parent, sum(map(cpu_ns, children)) - child
    return {
        "p50_us": statistics.median(took) / 1000,
        "p99_us": statistics.quantiles(took, n=100)[98] / 1000,
        "parent_us": parent / len(took) / 1000,
        "child_us": child / len(took) / 1000,
        "calls": len(took),
    }


def _pin(children: list[int], cores: int) -> None:
    processors = sorted(os.sched_getaffinity(0))[:cores]
    if len(processors) < cores:
        raise RuntimeError(f"{cores} processors are needed")
    pin(os.getpid(), processors[0])
    for pid in children:
        pin(pid, processors[-1])


async def _calls(contender: Contender, seconds: float) -> list[int]:
    """Call for so long; return what each call took, in nanoseconds."""
    took: list[int] = []
    until = time.perf_counter_ns() + int(seconds * 1e9)
    began = 0
    while began < until:
        began = time.perf_counter_ns()
        await contender.alone(OBJECT)
        took.append(time.perf_counter_ns() - began)
    return took


def plan(*, quick: bool) -> list[Sample]:
    seconds = 0.2 if quick else 0.5
    return [
        Sample("bench_echo", contender, (("regime", regime), ("seconds", seconds)))
        for contender in CONTENDERS
        for regime in REGIMES
    ]


def report(taken: Answers) -> Report:
    found = {regime: by_contender(taken, {"regime": regime}) for regime in REGIMES}
    return Report(
        [
            compare(f"Echo of 200 bytes, one worker, {regime}", answers, COLUMNS)
            for regime, answers in found.items()
        ],
        {f"P50 of an echo, µs, {regime}": (found[regime], "p50_us") for regime in REGIMES},
    )


if __name__ == "__main__":
    main("echo")
