"""Peers that call for all items of a dataset, many in one message."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.jobs import JOBS

CHUNK = 500
"""Calls in one message: they must be told; near the best for calls that do nothing."""


class Maps:
    """`run(pool, function, values)` gives the results in order; it blocks."""

    backend = "asyncio"

    def __init__(
        self,
        make: Callable[[int], Any],
        run: Callable[[Any, Callable[[Any], Any], Iterable[object]], Iterator[object]],
        close: Callable[[Any], None],
    ) -> None:
        self._make = make
        self._run = run
        self._close = close

    async def start(self, size: int, job: str) -> None:
        self._job = JOBS[job]
        self._pool = self._make(size)

    async def map(self, values: Iterable[object]) -> int:
        """Call for all; return how many results came."""
        return sum(1 for _ in self._run(self._pool, self._job, values))

    async def close(self) -> None:
        self._close(self._pool)


def imap() -> Maps:
    return Maps(
        multiprocessing.get_context("spawn").Pool,
        lambda pool, job, values: pool.imap(job, values, CHUNK),
        lambda pool: pool.terminate(),
    )


def executor_map() -> Maps:
    context = multiprocessing.get_context("spawn")
    return Maps(
        lambda size: ProcessPoolExecutor(size, context),
        lambda pool, job, values: pool.map(job, values, chunksize=CHUNK),
        lambda pool: pool.shutdown(),
    )


def loky_map() -> Maps:
    from loky import ProcessPoolExecutor as LokyExecutor

    return Maps(
        LokyExecutor,
        lambda pool, job, values: pool.map(job, values, chunksize=CHUNK),
        lambda pool: pool.shutdown(),
    )
