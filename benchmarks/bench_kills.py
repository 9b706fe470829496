"""A worker is killed every 0.5 s while 64 tasks call, 5 ms a call, 8 workers.

What callers lose and see, and when a new worker has taken a call. No peer is helped: a pool that
is broken stays so, unless its own interface makes another one. `python -m benchmarks.bench_start`
has the gaps of hundreds of kills, and those of workers with DSPy.
`python -m benchmarks.bench_kills [--quick]` writes `benchmarks/results/kills.json`.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio

from benchmarks.load import CALLERS
from benchmarks.pools import Contender
from benchmarks.replacements import Replacements
from benchmarks.report import Report, cell, main, remarks
from benchmarks.results import Table
from benchmarks.running import Answers, Sample, by_contender

SIZE = 8
PAUSE = 0.005
EVERY = 0.5
ROUNDS = 2
PATIENCE = 3.0
"""Seconds after which a call, of 5 ms, is said to hang, and within which all workers are there."""

CONTENDERS = [
    "bridgepool, checkout",
    "bridgepool, checkout, 1 spare",
    "bridgepool, checkout, spawn",
    "multiprocessing.Pool",
    "anyio.to_process",
    "trio-parallel",
    "ProcessPoolExecutor spawn",
    "ProcessPoolExecutor forkserver",
    "pebble",
    "mpire",
    "loky",
]


async def measure(contender: Contender, kills: int) -> dict[str, Any]:
    """Losses by what the caller saw, replacements, and whether the pool still works at the end."""
    await contender.start(SIZE, "nap")
    return await Assault(contender, kills).run()


class Assault:
    def __init__(self, contender: Contender, kills: int) -> None:
        self._contender = contender
        self._planned = kills
        self._kills = 0
        self._killed_at = 0.0
        self._replacements = Replacements()
        self._at_work: set[int] = set()
        """Workers that have taken a call since the last kill."""
        self._over = False
        self._waiting = 0
        self._done = 0
        self._seen: Counter[str] = Counter()

    async def run(self) -> dict[str, Any]:
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLERS):
                tasks.start_soon(self._caller)
            await self._warm_up()
            rate = await self._kill_all_the_time()
            alive = await self._within_patience(lambda: bool(self._at_work))
            self._over = True
            await self._within_patience(lambda: not self._waiting)
            hung = self._waiting
            tasks.cancel_scope.cancel()
        return self._answer(rate, alive=alive, hung=hung)

    async def _warm_up(self) -> None:
        await self._within_patience(lambda: len(self._at_work) == SIZE)
        if not self._at_work:
            raise RuntimeError(f"no call was answered within {PATIENCE:g} s")

    async def _kill_all_the_time(self) -> float:
        """Return the calls that were answered in a second meanwhile."""
        self._done, began = 0, time.monotonic()
        for _ in range(self._planned):
            self._kill()
            await anyio.sleep(EVERY)
        return self._done / (time.monotonic() - began)

    def _kill(self) -> None:
        """Kill a worker, if any is left."""
        for victim in random.sample(sorted(self._at_work), len(self._at_work)):
            now = time.monotonic()
            # A pool that lost one may have ended the others itself.
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                self._killed_at = now
                self._replacements.killed(now)
                self._at_work.clear()
                self._kills += 1
                return

    async def _within_patience(self, condition: Callable[[], bool]) -> bool:
        until = time.monotonic() + PATIENCE
        # Polled, so that the callers have nothing to do but call.
        while not condition() and time.monotonic() < until:  # noqa: ASYNC110
            await anyio.sleep(0.02)
        return condition()

    async def _caller(self) -> None:
        while not self._over:
            self._waiting += 1
            try:
                pid, began = await self._contender.call(PAUSE)
            except Exception as error:
                self._seen[type(error).__name__] += 1
                await anyio.sleep(0.05)  # a pool that is dead answers at once
            else:
                self._note(pid, began)
            self._waiting -= 1

    def _note(self, pid: int, began: float) -> None:
        self._done += 1
        self._replacements.served(pid, began)
        if began > self._killed_at:
            self._at_work.add(pid)

    def _answer(self, rate: float, *, alive: bool, hung: int) -> dict[str, Any]:
        if not self._kills:
            raise RuntimeError("no worker could be killed")
        gaps = self._replacements.gaps_ms
        answer: dict[str, Any] = {"kills": self._kills, "calls_per_s": rate, "gaps_ms": gaps}
        answer |= {"errors": dict(self._seen), "hung": hung, "alive": alive}
        if alive:
            answer["lost_per_kill"] = (self._seen.total() + hung) / self._kills
        if gaps:
            answer["replaced_ms"] = statistics.median(gaps)
        return answer


def plan(*, quick: bool) -> list[Sample]:
    kills = 3 if quick else 6
    return [Sample("bench_kills", name, (("kills", kills),)) for name in CONTENDERS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    columns = ["kills", "lost per kill", "the caller sees", "new worker after ms", "calls/s", ""]
    table = Table("A worker killed every 0.5 s, 8 workers, 64 tasks, 5 ms a call", ["", *columns])
    for name, samples in answers.items():
        table.add(name, *_row(samples), remarks(samples))
    return Report([table], {"New worker after a kill, ms": (answers, "replaced_ms")})


def _row(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    measured = [sample for sample in samples if "failed" not in sample]
    if not measured:
        return [""] * 5
    dead = sum(not sample["alive"] for sample in measured)
    lost = cell(measured, "lost_per_kill")
    if dead:
        lost = f"all: the pool is dead ({dead} of {len(measured)}) {lost}".strip()
    kills = str(sum(sample["kills"] for sample in measured))
    replaced = cell(measured, "replaced_ms") or "never"
    return [kills, lost, seen_by_callers(measured), replaced, cell(measured, "calls_per_s")]


def seen_by_callers(samples: Sequence[Mapping[str, Any]]) -> str:
    """The errors by their names, the commonest first, and how many calls never came back."""
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample["errors"])
    seen = [name for name, _ in errors.most_common()]
    if hung := sum(sample["hung"] for sample in samples):
        seen.append(f"nothing: {hung} calls hang")
    return ", ".join(seen)


if __name__ == "__main__":
    main("kills")
