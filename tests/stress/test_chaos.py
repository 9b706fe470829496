"""Callers cancel and time out, workers die and lie: every call ends, the pool is whole."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from pool import PoolError, PoolStats, WorkerPool
from tests.contract.pools import make_pool, until
from tests.processes import go_on

CALLERS = 20
STRIKES = int(os.environ.get("CHAOS_STRIKES", "12"))
BETWEEN = 5
"""Calls that succeed between two strikes, however slow the machine is."""

PAUSE = 0.2
"""Seconds between two strikes, however fast it is: pings and timers are to have their turn."""

VICES = ["half_frame", "garbage", "huge_length", "wrong_id", "duplicate_reply", "crash"]


class Chaos:
    """Operations on a pool, drawn from a seed, until it has been struck so many times."""

    def __init__(self, pool: WorkerPool, seed: int) -> None:
        self._pool = pool
        self._random = Random(seed)
        self.goes_on = True
        self.outcomes: Counter[str] = Counter()

    async def call(self) -> None:
        draw, timeout = self._random.random(), self._random.choice([0.002, 0.02, 0.1, 5.0])
        if draw < 0.3:
            size = self._random.choice([1, 100, 300_000])
            args = {"x": "y" * size}
            assert await self._pool.call("echo", args, timeout=timeout) == args
        elif draw < 0.5:
            await self._pool.call("sleep", {"seconds": 0.01}, timeout=timeout, idempotent=True)
        elif draw < 0.53:
            await self._pool.call("answer_and_crash", timeout=timeout)
        elif draw < 0.56:
            await self._pool.call(self._random.choice(VICES), timeout=timeout)
        else:
            await self._lease(timeout)

    async def _lease(self, timeout: float) -> None:
        async with self._pool.checkout(timeout=timeout) as worker:
            with suppress(PoolError):
                await worker.call("sleep", {"seconds": 0.005}, timeout=timeout)
            reply = await worker.call("pid", timeout=timeout)
            assert reply["pid"] == worker.pid

    async def caller(self) -> None:
        while self.goes_on:
            task = asyncio.create_task(self.call())
            if self._random.random() < 0.4:
                for _ in range(self._random.randrange(6)):
                    await asyncio.sleep(0)
                await asyncio.sleep(self._random.choice([0.0, 0.001, 0.02]))
                task.cancel()
            await asyncio.wait([task])
            self._see(task)

    def _see(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PoolError):
            raise error
        succeeded = not task.cancelled() and error is None
        self.outcomes["ok" if succeeded else "other"] += 1

    async def killer(self) -> None:
        """Strike, and see that the pool serves on, again and again."""
        signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]
        for number in range(STRIKES):
            pids = await self._victims()
            with suppress(ProcessLookupError):
                os.kill(self._random.choice(pids), signals[number % len(signals)])
        await self._victims()
        self.goes_on = False
        go_on(*pids_in(self._pool.stats()))

    async def _victims(self) -> list[int]:
        """Wait until enough calls have succeeded since the last strike, and there are workers."""
        enough = self.outcomes["ok"] + BETWEEN
        await asyncio.sleep(PAUSE)
        return pids_in(
            await until(self._pool, lambda s: self.outcomes["ok"] >= enough and bool(pids_in(s)))
        )


def pids_in(stats: PoolStats) -> list[int]:
    return [worker.pid for worker in stats.workers if worker.pid]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("seed", range(2))
async def test_every_call_ends_and_the_pool_is_whole_again(seed: int, method: str) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    settings: dict[str, Any] = {
        "size": 3,
        "overflow": 2,
        "start_timeout": 3.0,  # after a failed start, one that is stopped holds up all others
        "late_reply_timeout": 0.3,
        "ping_interval": 0.1,
        "ping_timeout": 0.5,
        "idle_timeout": 0.5,
        "max_restarts": 1000,
    }
    async with make_pool(method, "bridge.faulty", **settings) as pool:
        chaos = Chaos(pool, seed)
        async with asyncio.TaskGroup() as tasks:
            for task in (chaos.killer(), *(chaos.caller() for _ in range(CALLERS))):
                tasks.create_task(task)
        stats = await until(
            pool, lambda stats: not (stats.abandoned or stats.busy or stats.waiting)
        )
        assert stats.inflight_calls <= stats.total  # pings
        calls = (pool.call("echo", {"i": i}, idempotent=True) for i in range(20))
        assert await asyncio.gather(*calls) == [{"i": i} for i in range(20)]
        assert pool.stats().total <= 3 + 2 + 3
    assert not complaints
