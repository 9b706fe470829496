"""Echo of 200 bytes: 64 tasks over 8 workers, as many calls as there is time for.

`python -m benchmarks.bench_throughput [--quick]` writes `benchmarks/results/throughput.json`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.bench_echo import OBJECT
from benchmarks.limits.epoll import Epoll
from benchmarks.load import WARM_UP, storm
from benchmarks.pools import LIMIT, OURS, Contender
from benchmarks.processes import cpu_ns, descendants
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZE = 8
CONTENDERS = [
    "bridgepool, checkout",
    "bridgepool, call",
    "bridgepool, call, uvloop",
    "limit: epoll, pipe",
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
    Column("calls/s", "calls_per_s"),
    Column("CPU µs a call, all processes", "cpu_us"),
    Column("calls/s / limit's", "calls_per_s", over=LIMIT),
    Column("calls/s / ours", "calls_per_s", over=OURS),
    Column("CPU / limit's", "cpu_us", over=LIMIT),
]


async def measure(contender: Contender, seconds: float) -> dict[str, Any]:
    """Calls answered in a second, and the processor time of one over all processes."""
    await contender.start(SIZE, "echo")
    await _calls(contender, WARM_UP)
    processes = [os.getpid(), *descendants()]
    cpu, began = sum(map(cpu_ns, processes)), time.perf_counter()
    done = await _calls(contender, seconds)
    took, cpu = time.perf_counter() - began, sum(map(cpu_ns, processes)) - cpu
    return {"calls_per_s": done / took, "cpu_us": cpu / done / 1000}


async def _calls(contender: Contender, seconds: float) -> int:
    if isinstance(contender, Epoll):
        return contender.storm(OBJECT, seconds)
    return await storm(contender, OBJECT, seconds)


def plan(*, quick: bool) -> list[Sample]:
    seconds = 0.3 if quick else 0.8
    return [Sample("bench_throughput", name, (("seconds", seconds),)) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    title = "Echo of 200 bytes, 8 workers, 64 tasks"
    return Report(
        [compare(title, answers, COLUMNS)],
        {
            f"{title}: calls/s": (answers, "calls_per_s"),
            "CPU µs a call, all processes": (answers, "cpu_us"),
        },
    )


if __name__ == "__main__":
    main("throughput")
