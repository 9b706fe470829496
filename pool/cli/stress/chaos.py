"""Faults that befall a pool's workers, from outside and at planned instants."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from random import Random

import anyio
from anyio.abc import TaskGroup

from bridge.frames import encode
from pool import PoolError, PoolStats, WorkerPool
from pool.cli.stress.measured import Toll
from pool.cli.stress.victims import Victim

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds for which a slow worker is stopped."""

NONSENSE = encode(b"\xffno reply\xff")

Plan = Iterator[tuple[float, str]]
"""Seconds from the beginning, in order, and the kind of fault that is due then."""


def kill(victim: Victim) -> None:
    """It ends without a word."""
    victim.signal(signal.SIGKILL)


def stop(victim: Victim) -> None:
    """It hangs until it is let go, and the pool has to find that out."""
    victim.signal(signal.SIGSTOP)


def term(victim: Victim) -> None:
    """It leaves of itself, after the call that it is at."""
    victim.signal(signal.SIGTERM)


def garbage(victim: Victim) -> None:
    """A frame without sense arrives from it."""
    victim.put_into_replies(NONSENSE)


FAULTS: dict[str, Callable[[Victim], None]] = {
    "kill": kill,
    "stop": stop,
    "term": term,
    "garbage": garbage,
    "slow": stop,  # and let go of soon
}
LETHAL = ("kill", "term", "garbage")
"""What no worker survives, whatever the pool's timeouts."""


def poisson(kinds: Sequence[str], mean: float, random: Random) -> Plan:
    """Faults of random kinds, independent of each other, `mean` seconds apart on average."""
    at = 0.0
    while True:
        at += random.expovariate(1 / mean)
        yield at, random.choice(kinds)


def regular(kind: str, period: float) -> Plan:
    """A fault every `period` seconds."""
    for number in count(1):
        yield number * period, kind


class Chaos:
    """Strikes random workers in service as planned, and sees what becomes of them.

    A worker is not struck again before the fault is over. `patience` is how
    many seconds after the load the last victims may take to end.
    """

    def __init__(self, pool: WorkerPool, plan: Plan, random: Random, patience: float) -> None:
        self.toll = Toll()
        self._pool = pool
        self._plan = plan
        self._random = random
        self._patience = patience
        self._struck: set[int] = set()
        self._now = asyncio.get_running_loop().time

    @asynccontextmanager
    async def at_large(self) -> AsyncIterator[None]:
        """Strike while the block runs, then let go of every victim; stopped ones are continued."""
        async with anyio.create_task_group() as doomed:
            async with anyio.create_task_group() as passing:
                passing.start_soon(self._strike_as_planned, doomed, passing)
                yield
                passing.cancel_scope.cancel()
            doomed.cancel_scope.deadline = anyio.current_time() + self._patience
        for kind in LETHAL:
            if self.toll.struck[kind] > self.toll.ended[kind]:
                self.toll.survivors[kind] = self.toll.struck[kind] - self.toll.ended[kind]

    async def _strike_as_planned(self, doomed: TaskGroup, passing: TaskGroup) -> None:
        begin = self._now()
        for at, kind in self._plan:
            await asyncio.sleep(max(0.0, begin + at - self._now()))
            stats = self._pool.stats()
            pid = self._choose(stats)
            if pid is not None:
                self._struck.add(pid)
                watchers = doomed if kind in LETHAL else passing
                served = min(stats.size, stats.idle + stats.busy)
                watchers.start_soon(self._strike, kind, pid, served)

    def _choose(self, stats: PoolStats) -> int | None:
        serving = [worker.pid for worker in stats.workers if worker.state in ("idle", "busy")]
        unharmed = [pid for pid in serving if pid not in self._struck]
        return self._random.choice(unharmed) if unharmed else None

    async def _strike(self, kind: str, pid: int, served: int) -> None:
        """Strike one worker, of `served` that serve, and stay until it has ended or is let go."""
        try:
            with Victim(pid) as victim:
                FAULTS[kind](victim)
                await self._follow(kind, victim, served)
        except OSError:
            pass  # it had gone by itself, or its pipe was full: nothing has happened
        finally:
            self._struck.discard(pid)

    async def _follow(self, kind: str, victim: Victim, served: int) -> None:
        struck = self._now()
        self.toll.struck[kind] += 1
        pause = self._random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE) if kind == "slow" else None
        with anyio.move_on_after(pause):
            await victim.ended()
            self.toll.ended[kind] += 1
        if kind == "kill":
            await self._time_regain(struck, served)

    async def _time_regain(self, killed: float, served: int) -> None:
        # The pool sees the end of the pipe in the same turn of the loop; let it act on it.
        await asyncio.sleep(0)
        with suppress(PoolError):
            await self._pool.wait_ready(served)
            self.toll.regains.add(self._now() - killed)
