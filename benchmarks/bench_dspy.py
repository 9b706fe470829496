"""Executions of a DSPy program against an LM that takes 100 ms, over HTTP on loopback, 2 workers.

All questions are different, all answers are looked at, nothing is cached, and the LM's count of
requests is that of the executions: if not, there are no figures.
`python -m benchmarks.bench_dspy [--quick]` writes `benchmarks/results/dspy.json`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from typing import Any

import anyio

from benchmarks.pools.programs import LATENCY, Programs
from benchmarks.processes import cpu_ns
from benchmarks.provider import answer_to
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZE = 2
ONE = "DSPy, 1 at a time"
MANY = ("DSPy, 64 at a time", "DSPy by litellm, 64 at a time")
COLUMNS = [
    Column("executions/s", "per_s"),
    Column("executions/s / one at a time", "per_s", over=ONE),
    Column("P50 ms", "p50_ms"),
    Column("CPU ms each, worker", "worker_cpu_ms"),
    Column("CPU ms each, caller", "caller_cpu_ms"),
    Column("right answers", "right"),
]


async def measure(contender: Programs, executions: int) -> dict[str, Any]:
    """Executions in a second, their median time, and the processor time of each."""
    await contender.start(SIZE, "ask")
    # Every place is taken once, so that every connection is open.
    await ask(contender, (f"Warm {n}?" for n in range(2 * SIZE * contender.concurrency)))
    workers, requests = contender.workers, await contender.provider.requests()
    worker_ns, caller_ns, began = sum(map(cpu_ns, workers)), cpu_ns(os.getpid()), time.monotonic()
    times = await ask(contender, (f"What is {n} and {n}?" for n in range(executions)))
    took = time.monotonic() - began
    worker_ns, caller_ns = sum(map(cpu_ns, workers)) - worker_ns, cpu_ns(os.getpid()) - caller_ns
    requests = await contender.provider.requests() - requests
    if requests != executions:
        raise RuntimeError(f"{executions} executions made {requests} requests")
    return {
        "per_s": executions / took,
        "p50_ms": statistics.median(times) * 1000,
        "worker_cpu_ms": worker_ns / executions / 1e6,
        "caller_cpu_ms": caller_ns / executions / 1e6,
        "right": len(times),
    }


async def ask(contender: Programs, questions: Iterable[str]) -> list[float]:
    """As many at a time as there are places; the seconds that each took.

    Raises `ValueError` if an answer is another question's.
    """
    left: Iterator[str] = iter(questions)
    times: list[float] = []

    async def caller() -> None:
        for question in left:
            began = time.monotonic()
            answer = await contender.call(question)
            times.append(time.monotonic() - began)
            if answer != answer_to(question):
                raise ValueError(f"{question!r} was answered by {answer!r}")

    async with anyio.create_task_group() as tasks:
        for _ in range(SIZE * contender.concurrency):
            tasks.start_soon(caller)
    return times


def plan(*, quick: bool) -> list[Sample]:
    many, few = (200, 20) if quick else (1000, 60)
    return [
        Sample("bench_dspy", ONE, (("executions", few),)),
        *(Sample("bench_dspy", name, (("executions", many),)) for name in MANY),
    ]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    title = f"DSPy program, LM of {LATENCY * 1000:.0f} ms, {SIZE} workers"
    return Report(
        [compare(title, answers, COLUMNS)],
        {
            f"{title}: executions/s": (answers, "per_s"),
            "CPU ms each, worker": (answers, "worker_cpu_ms"),
        },
    )


if __name__ == "__main__":
    main("dspy")
