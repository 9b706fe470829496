"""An application that is going to be killed: `python -m tests.stress.orphaned METHOD PHASE SEED`.

It prints a line when its phase begins, and stays in it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from pool import PoolError, WorkerPool
from tests.contract.orphan_parent import VICIOUS, Heard
from tests.processes import children

FOREVER = 600
"""Seconds; longer than the application lives."""

OURS = Path("/proc/self/cmdline").read_bytes()

SETTINGS: dict[str, dict[str, Any]] = {
    "starting": {"options": {"slow_start": 0.3}},
    "idle": {"ping_interval": 0.02},
    "recycling": {"max_calls": 2},
    "stopped": {"ping_interval": 0.1, "ping_timeout": 0.1, "late_reply_timeout": 0.1},
    "closing": {
        "options": {"ignore_end_of_file": True, "ignore_sigterm": True},
        "grace_period": 0.3,
    },
}
Phase = Callable[[WorkerPool, Random], Awaitable[None]]


def make_pool(method: Any, phase: str) -> WorkerPool:
    settings = {"size": 2, "overflow": 1, **SETTINGS.get(phase, {})}
    if method == "argv":
        settings.pop("options", None)
        return WorkerPool(argv=VICIOUS, **settings)
    bridge = "tests.contract.napping_import" if phase == "importing" else "bridge.faulty"
    return WorkerPool(bridge, start_method=method, **settings)


def begins() -> None:
    print("reached", flush=True)


async def starting(pool: WorkerPool, _: Random) -> None:
    begins()
    await pool.wait_ready()


async def importing(pool: WorkerPool, _: Random) -> None:
    heard = Heard("importing")
    call = asyncio.ensure_future(pool.wait_ready())
    await heard.event.wait()
    begins()
    await call


async def idle(pool: WorkerPool, _: Random) -> None:
    await pool.wait_ready()
    begins()


async def calling(pool: WorkerPool, random: Random) -> None:
    await pool.wait_ready()
    begins()
    await asyncio.gather(*(caller(pool, random) for _ in range(6)))


async def holding_the_gil(pool: WorkerPool, _: Random) -> None:
    await pool.wait_ready()
    begins()
    await asyncio.gather(*(pool.call("hold_gil", {"seconds": FOREVER}) for _ in range(3)))


async def stopped(pool: WorkerPool, random: Random) -> None:
    await pool.wait_ready()
    begins()
    await asyncio.gather(stopper(pool, random), *(caller(pool, random) for _ in range(6)))


async def closing(pool: WorkerPool, _: Random) -> None:
    await pool.wait_ready()
    begins()
    await pool.aclose()


async def caller(pool: WorkerPool, random: Random) -> None:
    # "late" is what a foreign bridge's "sleep" is called; each has an answer to the other's too.
    calls: list[tuple[str, object]] = [("echo", {}), ("echo", {"x": "y" * 200_000})]
    calls += [(command, {"seconds": 0.05}) for command in ("sleep", "late")]
    while True:
        command, args = random.choice(calls)
        with suppress(PoolError):
            await pool.call(command, args, timeout=random.choice([0.02, 1.0]))
        await asyncio.sleep(0)  # a refusal suspends nobody


async def stopper(pool: WorkerPool, random: Random) -> None:
    """Stop workers and templates, again and again.

    Not in the milliseconds before the pool has a process on its lifeline. Until its exec it is
    even a copy of us, with ends of all our pipes.
    """
    seen: set[int] = set()
    while True:
        await asyncio.sleep(0.05)
        workers = {worker.pid for worker in pool.stats().workers if worker.pid}
        there = workers | children()
        grown, seen = sorted(filter(has_run_exec, there & seen)), there
        if grown:
            with suppress(ProcessLookupError):
                os.kill(random.choice(grown), signal.SIGSTOP)


def has_run_exec(pid: int) -> bool:
    """Whether a child has a command line of its own."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != OURS
    except FileNotFoundError:
        return False


PHASES: dict[str, Phase] = {
    "starting": starting,
    "importing": importing,
    "idle": idle,
    "calling": calling,
    "holding the GIL": holding_the_gil,
    "recycling": calling,
    "stopped": stopped,
    "closing": closing,
}


async def main(method: str, phase: str, seed: str) -> None:
    pool = make_pool(method, phase)
    await pool.open()
    await PHASES[phase](pool, Random(seed))
    await asyncio.sleep(FOREVER)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
