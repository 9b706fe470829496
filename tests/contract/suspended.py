"""An application that is going to be stopped: `python -m tests.contract.suspended METHOD`.

It has a pool for each of several situations, and prints one line as soon as
all are in theirs: the pid of the worker that is to be killed meanwhile. From
there on its loop does not turn before it reads a line, which is to be its first
act when it goes on; then it prints what became of each, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from pool import PoolStats, WorkerPool
from tests.contract.orphan_parent import Heard
from tests.contract.pools import make_pool, until
from tests.processes import stop

DEADLINE = 5.0
"""Seconds, of all that may wait, but for starts; a busy machine takes some of it itself."""

START_DEADLINE = 10.0
"""Seconds; a start takes one as it is, and a dozen are made at once."""

LIMITS: dict[str, Any] = {
    "call_timeout": DEADLINE,
    "checkout_timeout": DEADLINE,
    "start_timeout": START_DEADLINE,
    "ping_interval": 0.2,
    "ping_timeout": DEADLINE,
    "late_reply_timeout": DEADLINE,
}
Story = Callable[[WorkerPool], AsyncIterator[object]]
"""Pauses when it is prepared, and in its situation; goes on afterwards, to what came of it."""


async def importing(pool: WorkerPool) -> AsyncIterator[object]:
    heard = Heard("importing")
    yield None
    call = asyncio.ensure_future(pool.call("echo", {"a": 1}, timeout=START_DEADLINE))
    await heard.event.wait()
    yield None
    yield await call


async def starting(pool: WorkerPool) -> AsyncIterator[object]:
    await pool.wait_ready(1)
    yield None
    ready = asyncio.ensure_future(pool.wait_ready())
    await until(pool, lambda stats: len(pids(stats)) == 3)
    yield None
    await ready
    yield pool.stats().idle


async def pinging(pool: WorkerPool) -> AsyncIterator[object]:
    await pool.wait_ready()
    yield None
    stop(*pids(pool.stats()))
    before = (await until(pool, lambda stats: stats.inflight_calls == 2)).pings.get("ok", 0)
    yield None
    stats = await until(pool, lambda stats: stats.pings.get("ok", 0) >= before + 4)
    yield stats.idle


async def calling(pool: WorkerPool) -> AsyncIterator[object]:
    await pool.wait_ready()
    yield None
    calls = [pool.call("sleep", {"seconds": 0.4}) for _ in range(2)]
    calls += [pool.call("echo", {"i": i}) for i in range(8)]
    tasks = [asyncio.ensure_future(call) for call in calls]
    await until(pool, lambda stats: (stats.busy, stats.waiting) == (2, 8))
    yield None
    yield await asyncio.gather(*tasks)


async def bereft(pool: WorkerPool) -> AsyncIterator[object]:
    """One of its workers dies meanwhile: the first that is lent."""
    await pool.wait_ready()
    victim = (await pool.call("pid"))["pid"]
    yield None
    yield victim
    # At once, before the loop has turned and come to read that a pipe was closed.
    lent = [await lend(pool), await lend(pool)]
    await until(pool, lambda stats: bool(stats.worker_exits) and stats.idle == 2)
    yield [victim, *lent]


async def lend(pool: WorkerPool) -> int | None:
    """Return which worker it was; a call on it succeeds."""
    async with pool.checkout() as worker:
        await worker.call("echo")
        return worker.pid


def pids(stats: PoolStats) -> list[int]:
    return [worker.pid for worker in stats.workers if worker.pid]


SITUATIONS: dict[str, tuple[Story, str, dict[str, Any]]] = {
    # In the order in which they are entered: what lasts longest is first.
    "importing": (importing, "tests.contract.napping_import", {"size": 1}),
    "starting": (starting, "bridge.faulty", {"size": 3, "options": {"slow_start": 1.0}}),
    "pinging": (pinging, "bridge.echo", {}),
    "calling": (calling, "bridge.echo", {}),
    "bereft": (bereft, "bridge.echo", {}),
}


async def tell(pools: dict[str, WorkerPool]) -> dict[str, Any]:
    """Have all in their situations, let ourselves be stopped, and say what came of each."""
    stories = {name: SITUATIONS[name][0](pool) for name, pool in pools.items()}
    await asyncio.gather(*(anext(story) for story in stories.values()))
    reached = {name: await anext(story) for name, story in stories.items()}
    print(reached["bereft"], flush=True)
    sys.stdin.readline()
    ends = (anext(story) for story in stories.values())
    results = await asyncio.gather(*ends, return_exceptions=True)
    return {
        name: {"result": result, **asdict(pools[name].stats())}
        for name, result in zip(stories, results, strict=True)
    }


async def main(method: str) -> None:
    async with AsyncExitStack() as stack:
        pools = {}
        for name, (_, bridge, options) in SITUATIONS.items():
            made = make_pool(method, bridge, name=name, **LIMITS, **options)
            pools[name] = await stack.enter_async_context(made)
        print(json.dumps(await tell(pools), default=repr), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
