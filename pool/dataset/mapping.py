"""Calls for all items of a dataset: `async with pool.map(...) as results`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from bridge.messages.memory.large import large_in
from pool.dataset.batch import FATAL, Failed
from pool.dataset.batches import Batches, may_be_together
from pool.dataset.results import Results
from pool.dataset.source import Source
from pool.errors import LeaseClosed, PoolError, PoolSaturated
from pool.retries import RetryRule
from pool.supervisor import Supervisor

AHEAD = 4
"""Batches per slot that are taken from the dataset before the first of them is asked for."""


class Mapping:
    """`async with` begins to call; leaving the block ends what is under way.

    Each of several lanes takes some items, calls for them, and hands over
    what came of it. Lanes stop when `max_in_flight` items are taken whose
    results nobody has read.
    """

    _results: Results | None = None
    _tasks: TaskGroup

    def __init__(
        self,
        supervisor: Supervisor,
        call: Callable[[object], Awaitable[Any]],
        command: str,
        items: Iterable[object] | AsyncIterable[object],
        *,
        ordered: bool,
        max_in_flight: int | None,
        batches: bool,
        allowed: float | None,
        result_type: Any,
        rule: RetryRule,
        return_exceptions: bool,
    ) -> None:
        self._supervisor = supervisor
        self._call = call
        self._source = Source(items)
        self._max_in_flight = max_in_flight
        self._batches = batches and not self._source.is_slow
        self._together = Batches(supervisor, command, allowed, result_type, rule)
        self._shape = (ordered, return_exceptions)
        limits = supervisor.ledger.limits
        slots = (limits.size + limits.overflow) * limits.concurrency
        self._alone = asyncio.Semaphore(slots)
        self._lanes = slots + 1
        if max_in_flight is not None:
            self._lanes = min(self._lanes, max_in_flight)

    async def __aenter__(self) -> Results:
        if self._results is not None:
            raise RuntimeError("a map is entered once; call `map` for each")
        self._results = Results(*self._shape)
        self._running = self._lanes
        self._scopes: list[anyio.CancelScope] = []
        self._tasks = await anyio.create_task_group().__aenter__()
        for number in range(self._lanes):
            self._tasks.start_soon(self._lane, self._results, name=f"map lane {number}")
        return self._results

    async def __aexit__(self, *_: object) -> None:
        assert self._results is not None
        if self._running:
            self._results.fail(LeaseClosed("the map is over: its block was left"))
        # In their order, which a task group would not keep: what a seed tells is to be told again.
        for scope in self._scopes:
            scope.cancel()
        # Without what the block raised: that goes on as it is, not in a group.
        await self._tasks.__aexit__(None, None, None)

    # Lanes

    async def _lane(self, results: Results) -> None:
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            await self._work(results)

    async def _work(self, results: Results) -> None:
        try:
            while await results.has_room(self._may_be_taken):
                size = self._next_size(results)
                results.taken(size)  # before others look, while this one may wait for items
                start, items = await self._source.take(size)
                results.taken(len(items) - size)
                if not items:
                    break
                results.put(start, await self._outcomes(items))
        except Exception as error:
            results.fail(error)
        finally:
            self._running -= 1
            if not self._running:
                results.end()

    def _may_be_taken(self) -> int:
        if self._max_in_flight is not None:
            return self._max_in_flight
        return AHEAD * self._lanes * self._together.size.now

    def _next_size(self, results: Results) -> int:
        if not self._batches or not self._supervisor.ledger.takes_batches:
            return 1
        left = self._may_be_taken() - results.outstanding
        return max(1, min(self._together.size.now, left))

    async def _outcomes(self, items: list[object]) -> list[Any]:
        """What came of the calls for these items, in their order."""
        if len(items) > 1:
            if may_be_together(items):
                return await self._together.outcomes(items, self._single)
            self._batches = False
        return [await self._single(item) for item in items]

    # One at a time

    async def _single(self, item: object) -> Any:
        if self._together.size.now > 1:
            return await self._insist(item)
        # While calls are slow, no more of them than slots: their time would be spent on waiting.
        async with self._alone:
            return await self._insist(item)

    async def _insist(self, item: object) -> Any:
        while True:
            try:
                result = await self._call(item)
                self._batches = self._batches and not large_in(result)
                self._together.sample()
                return result
            except PoolSaturated as error:
                await asyncio.sleep(error.retry_after)  # a dataset can wait
            except FATAL:
                raise
            except PoolError as error:
                return Failed(error)
