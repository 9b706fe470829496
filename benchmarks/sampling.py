"""The three kinds of samples of `bench_start`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.contenders import CONTENDERS, Contender, Lost
from benchmarks.load import CALLERS
from benchmarks.processes import cpu_seconds, descendants, memory
from benchmarks.replacements import Replacements

EXECUTIONS = 20
"""Operations per worker before its memory is looked at."""


async def ready(pool: Contender, size: int) -> dict[str, Any]:
    """Seconds from nothing until the first reply, and until all workers are ready; then memory."""
    began = time.monotonic()

    async def first_reply() -> float:
        await pool.prepare()
        await pool.operate("first?")
        return time.monotonic() - began

    async def all_ready() -> float:
        await pool.ready(size)
        return time.monotonic() - began

    async with pool:
        first, everybody = await asyncio.gather(first_reply(), all_ready())
        cpu = cpu_seconds()
        for start in range(0, EXECUTIONS * size, size):
            # All workers at a time, so that each gets its share.
            questions = [f"{n}?" for n in range(start, start + size)]
            await asyncio.gather(*map(pool.operate, questions))
        pss, uss = memory(descendants())
    return {"first_reply_s": first, "ready_s": everybody, "cpu_s": cpu, "pss": pss, "uss": uss}


async def scenario(pool: Contender, size: int) -> dict[str, Any]:
    """Seconds from nothing until ten operations that were asked for at once are done."""
    began = time.monotonic()
    async with pool:
        done = await asyncio.gather(
            *(pool.operate(f"{n}?", create=True) for n in range(10)), return_exceptions=True
        )
        took = time.monotonic() - began
    return {"ten_s": took, "ten_ok": float(sum(not isinstance(d, Exception) for d in done))}


async def gap(pool: Contender, size: int) -> dict[str, Any]:
    """Milliseconds from a SIGKILL under load until a worker that is new has taken a call."""
    kills = int(os.environ.get("KILLS", "200"))
    async with pool:
        await pool.ready(size)
        await pool.prepare()
        return await GapRun(pool, kills).run()


class GapRun:
    def __init__(self, pool: Contender, kills: int) -> None:
        self._pool = pool
        self._kills = kills
        self._replacements = Replacements()
        self._regained = asyncio.Event()
        self._lost = 0
        self._done = False

    async def run(self) -> dict[str, Any]:
        callers = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        await asyncio.sleep(0.5)
        for _ in range(self._kills):
            self._regained.clear()
            victim = random.choice(self._pool.victims())
            self._replacements.killed(time.monotonic())
            os.kill(victim, signal.SIGKILL)
            await self._regained.wait()
            await asyncio.sleep(0.05)
        self._done = True
        await asyncio.gather(*callers)
        gaps = self._replacements.gaps_ms
        return {"gaps_ms": gaps, "lost_per_kill": self._lost / self._kills}

    async def _call(self) -> None:
        while not self._done:
            try:
                pid, taken = await self._pool.operate("still there?")
            except Lost:
                self._lost += 1
                continue
            if self._replacements.served(pid, taken):
                self._regained.set()


MODES: dict[str, Callable[[Contender, int], Awaitable[dict[str, Any]]]] = {
    "ready": ready,
    "scenario": scenario,
    "gap": gap,
}


def main() -> None:
    mode, contender, workload, size, api_base, fd = sys.argv[1:7]

    async def run() -> dict[str, Any]:
        pool = CONTENDERS[contender](workload, int(size), api_base)
        return await MODES[mode](pool, int(size))

    os.write(int(fd), json.dumps(asyncio.run(run())).encode() + b"\n")
