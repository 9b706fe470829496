"""Calls for all items of a dataset: `async with pool.map(...) as results`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup

from bridge.messages.memory.large import large_in, large_members
from pool.batch import BatchCall, Failed, nothing_told, outcomes_of, prepare_batch
from pool.batching import MOST_BYTES, BatchSize
from pool.calls import encode_args
from pool.dispatch import run_until_done
from pool.errors import (
    EnvironmentInvalid,
    PoolClosed,
    PoolError,
    PoolSaturated,
    RequestError,
    WorkerStartError,
)
from pool.mapped import Results
from pool.retries import RetryRule
from pool.source import Source
from pool.supervisor import Supervisor
from pool.timeouts import Deadline

AHEAD = 4
"""Batches per slot that are taken from the dataset before the first of them is asked for."""

FATAL = (PoolClosed, EnvironmentInvalid, WorkerStartError)
"""What ends the whole: no later item could be called either."""


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
        self._command = command
        self._source = Source(items)
        self._max_in_flight = max_in_flight
        self._batches = batches and not self._source.is_slow
        self._allowed = allowed
        self._type = result_type
        self._rule = rule
        self._shape = (ordered, return_exceptions)
        self._size = BatchSize()
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
        self._tasks = await anyio.create_task_group().__aenter__()
        for number in range(self._lanes):
            self._tasks.start_soon(self._lane, self._results, name=f"map lane {number}")
        return self._results

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_scope.cancel()
        # Without what the block raised: that goes on as it is, not in a group.
        await self._tasks.__aexit__(None, None, None)

    # Lanes

    async def _lane(self, results: Results) -> None:
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
        return AHEAD * self._lanes * self._size.now

    def _next_size(self, results: Results) -> int:
        if not self._batches or not self._supervisor.ledger.takes_batches:
            return 1
        left = self._may_be_taken() - results.outstanding
        return max(1, min(self._size.now, left))

    async def _outcomes(self, items: list[object]) -> list[Any]:
        """What came of the calls for these items, in their order."""
        if len(items) > 1:
            encoded, refused = self._encode(items)
            # What is large goes faster by itself, and a session has an order.
            if not any(map(large_members, items)) and not any(b'"session_id"' in args for args in encoded):
                sent = [item for place, item in enumerate(items) if place not in refused]
                outcomes = await self._in_batches(sent, encoded)
                for place, failed in refused.items():
                    outcomes.insert(place, failed)
                return outcomes
            self._batches = False
        return [await self._single(item) for item in items]

    # One at a time

    async def _single(self, item: object) -> Any:
        if self._size.now > 1:
            return await self._insist(item)
        # While calls are slow, no more of them than slots: their time would be spent on waiting.
        async with self._alone:
            return await self._insist(item)

    async def _insist(self, item: object) -> Any:
        started = self._supervisor.clock.now()
        while True:
            try:
                result = await self._call(item)
                self._batches = self._batches and not large_in(result)
                self._size.took(1, self._supervisor.clock.now() - started)
                return result
            except PoolSaturated as error:
                await asyncio.sleep(error.retry_after)  # a dataset can wait
            except FATAL:
                raise
            except PoolError as error:
                return Failed(error)

    # Many at a time

    def _encode(self, items: list[object]) -> tuple[list[bytes], dict[int, Failed]]:
        """The arguments of a batch, and by their places those that cannot be sent."""
        with suppress(RequestError):  # nearly always all can
            return [encode_args(self._command, item) for item in items], {}
        encoded, refused = [], {}
        for place, item in enumerate(items):
            try:
                encoded.append(encode_args(self._command, item))
            except RequestError as error:
                refused[place] = Failed(error)
        return encoded, refused

    async def _in_batches(self, items: list[object], encoded: list[bytes]) -> list[Any]:
        outcomes: list[Any] = []
        while len(outcomes) < len(items):
            part = _first_bytes(encoded, len(outcomes))
            done = await self._batch(part)
            outcomes += done
            if len(done) < len(part):
                rest = items[len(outcomes) :]
                return outcomes + [await self._single(item) for item in rest]
        return outcomes

    async def _batch(self, encoded: list[bytes]) -> list[Any]:
        """What came of a batch, or of the first of it: what is missing may be called again."""
        prepared = prepare_batch(self._command, encoded)
        calls: list[BatchCall] = []

        def make(*given: Any) -> BatchCall:
            calls.append(BatchCall(*given))
            return calls[-1]

        supervisor = self._supervisor
        now = supervisor.clock.now()
        deadline = Deadline.after(now, self._allowed)
        replies: list[Any] = []
        missing: PoolError | None = None
        try:
            with supervisor.guarding(self._command):
                once = RetryRule(idempotent=False, attempts=self._rule.attempts)
                replies = [await run_until_done(supervisor, prepared, deadline, once, now, make)]
        except PoolSaturated as error:
            await asyncio.sleep(error.retry_after)
            return []
        except FATAL:
            raise
        except PoolError as error:
            missing = error
        # The next lane's batch goes out before this one's results are read.
        await asyncio.sleep(0)
        parts = calls[-1].parts if calls else []
        told = outcomes_of([*parts, *replies], prepared, self._type, supervisor.secrets)
        if missing is None and calls:
            self._size.took(len(encoded), calls[-1].seconds)
            missing = nothing_told(prepared)
        if self._rule.idempotent or missing is None:
            return told
        return told + [Failed(missing)] * (len(encoded) - len(told))


def _first_bytes(encoded: list[bytes], start: int) -> list[bytes]:
    """As many from `start` on as go into one batch, but one at least."""
    size, end = 0, start
    while end < len(encoded) and (end == start or size + len(encoded[end]) <= MOST_BYTES):
        size += len(encoded[end])
        end += 1
    return encoded[start:end]
