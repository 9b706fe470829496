"""The results of a map, as they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pool.dataset.batch import Failed
from pool.exchange.wait import Wait


class Results:
    """One result for each item, as soon as it may be told; read by one task.

    `index` is the place, counted from 0, of the item whose result came last.
    """

    index = -1

    def __init__(self, ordered: bool, return_exceptions: bool) -> None:
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._ready: dict[int, list[Any]] = {}
        self._present: list[Any] = []
        self._at = 0
        self._expected = 0
        self._outstanding = 0
        self._error: Exception | None = None
        self._is_over = False
        self._waits: Wait[None] | None = None
        self._room = asyncio.Event()

    def __aiter__(self) -> Results:
        return self

    async def __anext__(self) -> Any:
        """Return the next result.

        Raises what the call for it has raised, unless these errors are returned in
        their places; the next one can still be asked for. Raises, after all results
        that there are, what ended the whole: an error of the dataset's own
        iterator, `PoolClosed`, `EnvironmentInvalid`, `WorkerStartError`.
        """
        if self._at == len(self._present) and not await self._more():
            raise StopAsyncIteration
        outcome = self._present[self._at]
        self._at += 1
        self.index += 1
        if outcome.__class__ is not Failed:
            return outcome
        if self._return_exceptions:
            return outcome.error
        raise outcome.error

    async def take(self) -> list[tuple[int, list[Any]]]:
        """Wait for results, and return all that there are; an empty list after the last.

        They come in runs, each with the place of its first item; `Failed` stands for
        an error of one call. What has ended the whole is raised as when they are read.
        """
        if self._at == len(self._present):
            await self._more()
        return self.take_ready()

    def take_ready(self) -> list[tuple[int, list[Any]]]:
        """`take`, without waiting."""
        runs = []
        while self._at < len(self._present) or self._turn_over():
            outcomes = self._present[self._at :]
            runs.append((self.index + 1, outcomes))
            self._at += len(outcomes)
            self.index += len(outcomes)
        return runs

    async def _more(self) -> bool:
        """Wait for the outcomes that come next; False if there will be none."""
        while not self._turn_over():
            if self._is_over:
                if self._error is not None:
                    raise self._error
                return False
            self._waits = Wait(asyncio.get_running_loop())
            await self._waits
        return True

    def _turn_over(self) -> bool:
        """Go on to the outcomes that come next, if they are there."""
        start = self._next_start()
        if start is None:
            return False
        self._present, self._at = self._ready.pop(start), 0
        self._expected = start + len(self._present)
        self.index = start - 1
        self._outstanding -= len(self._present)
        self._room.set()
        return True

    def _next_start(self) -> int | None:
        if self._ordered:
            return self._expected if self._expected in self._ready else None
        return next(iter(self._ready), None)

    # For the lanes

    @property
    def outstanding(self) -> int:
        """Items that were taken and whose results were not read."""
        return self._outstanding

    async def has_room(self, most: Callable[[], int]) -> bool:
        """Wait until fewer items are outstanding than may be; False if the whole has ended."""
        while self._error is None and self._outstanding >= most():
            self._room.clear()
            await self._room.wait()
        return self._error is None

    def taken(self, count: int) -> None:
        """So many items were taken."""
        self._outstanding += count

    def put(self, start: int, outcomes: list[Any]) -> None:
        """What came of the items from place `start` on."""
        self._ready[start] = outcomes
        self._wake()

    def fail(self, error: Exception) -> None:
        """The whole ends with the first such error, after the results that there are."""
        self._error = self._error or error
        self._room.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        waits, self._waits = self._waits, None
        if waits is not None and not waits.is_done:
            waits.resume_soon(None)
