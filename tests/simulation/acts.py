"""What callers do with a pool, each thing in one of many ways, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from random import Random
from typing import Any

from pool import PoolError, WorkerPool

TICK = 1 / 16
"""Seconds. All that happens, happens at a multiple of it: the narrower the grid, the fewer the
races. A power of two, so that sums are exact."""

ODD_RESULTS: list[object] = [42, {"error": "it failed"}]
"""What some children answer to anything."""

Act = Callable[["Caller"], Coroutine[Any, Any, str]]


class Caller:
    """One who does one thing; `args` are nobody else's."""

    def __init__(
        self, pool: WorkerPool, random: Random, args: dict[str, Any], timeout: float
    ) -> None:
        self.pool = pool
        self.random = random
        self.args = args
        self.timeout = timeout
        self.act: Act = random.choices([*ACTS], weights=[*ACTS.values()])[0]

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # Calls

    async def call(self) -> str:
        again = self.chance(0.3)
        self.check(await self.pool.call("echo", self.args, timeout=self.timeout, idempotent=again))
        return "ok"

    async def call_on_a_lease(self) -> str:
        async with self.pool.checkout(timeout=self.timeout) as worker:
            self.check(await worker.call("echo", self.args, timeout=self.timeout))
        return "ok"

    def check(self, result: object, args: object = None) -> None:
        args = args or self.args
        assert result == args or result in ODD_RESULTS, f"{result} is not for {args}"

    # Streams

    async def stream(self) -> str:
        return await self._read(self.pool)

    async def stream_on_a_lease(self) -> str:
        async with self.pool.checkout(timeout=self.timeout) as worker:
            told = await self._read(worker)
            if told == "ok":
                self.check(await worker.call("echo", self.args, timeout=self.timeout))
        return told

    async def _read(self, seat: Any) -> str:
        choice = self.random.choice
        n, delay = choice([0, 3, 24]), TICK * choice([0, 0, 1, 4])
        stops_at, slowness = choice([None, None, 0, 2, 12]), TICK * choice([0, 0, 1, 6])
        args = {**self.args, "n": n, "delay": delay}
        async with seat.stream("wide", args, timeout=self.timeout) as items:
            got = 0
            if stops_at == got:
                return "left"
            async for item in items:
                assert item["i"] == got, f"{item['i']} is not {got}"
                got += 1
                if got == stops_at:
                    return "left"
                if slowness:
                    await asyncio.sleep(slowness)
            self._check_end(items.result, got, n)
        return "ok"

    def _check_end(self, result: object, got: int, n: int) -> None:
        """A stream that is answered otherwise than by its items says so."""
        complete = result == {"items": n} and got == n
        cut_short = result in [{"items": 0}, *ODD_RESULTS]
        assert complete or cut_short, f"{got} of {n} items, and {result}"

    # Maps

    async def map(self) -> str:
        choice = self.random.choice
        n, stops_at = choice([0, 5, 24, 24]), choice([None, None, None, 0, 4])
        items = [{**self.args, "i": i} for i in range(n)]
        settings: dict[str, Any] = {
            "ordered": self.chance(0.5),
            "max_in_flight": choice([None, 1, 4, 8]),
            "batches": self.chance(0.8),
            "timeout": self.timeout,
            "idempotent": self.chance(0.5),
            "return_exceptions": True,
        }
        async with aclosing(_later(items)) as later:
            source: Any = later if self.chance(0.2) else iter(items)
            return await self._read_map(items, source, stops_at, settings)

    async def _read_map(
        self, items: list[Any], source: Any, stops_at: int | None, settings: dict[str, Any]
    ) -> str:
        seen: list[int] = []
        async with self.pool.map("echo", source, **settings) as results:
            while len(seen) != stops_at:
                try:
                    result = await anext(results)
                except StopAsyncIteration:
                    break
                seen.append(results.index)
                if not isinstance(result, PoolError):
                    self.check(result, items[results.index])
                if self.chance(0.1):
                    await asyncio.sleep(TICK)
        assert len(set(seen)) == len(seen), f"{seen}: some come twice"
        assert not settings["ordered"] or seen == list(range(len(seen))), f"{seen}: not in order"
        if len(seen) == stops_at:
            return "left"
        assert len(seen) == len(items), f"{len(seen)} results of {len(items)} items"
        return "ok"


async def _later(items: list[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        await asyncio.sleep(TICK / 2)
        yield item


ACTS: dict[Act, int] = {
    Caller.call: 5,
    Caller.call_on_a_lease: 3,
    Caller.stream: 3,
    Caller.stream_on_a_lease: 1,
    Caller.map: 2,
}
"""Each with its weight."""


def wide(args: dict[str, Any]) -> Iterator[object]:
    """A command that gives items, so large that a pipe holds few of them."""
    for i in range(args["n"]):
        yield {"i": i, "text": "x" * 8000}
