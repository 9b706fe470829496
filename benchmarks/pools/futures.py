"""Pools that give back a future of `concurrent.futures`, or call back from a thread of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from benchmarks.jobs import JOBS


class Futures:
    """`submit(pool, function, value)` returns a future."""

    backend = "asyncio"

    def __init__(
        self,
        make: Callable[[int], Any],
        submit: Callable[[Any, Callable[..., Any], Any], Future[Any]],
        close: Callable[[Any], None],
    ) -> None:
        self._make = make
        self._submit = submit
        self._close = close

    async def start(self, size: int, job: str) -> None:
        self._job = JOBS[job]
        self._pool = self._make(size)

    async def alone(self, value: Any) -> Any:
        return self._submit(self._pool, self._job, value).result()

    async def call(self, value: Any) -> Any:
        return await asyncio.wrap_future(self._submit(self._pool, self._job, value))

    async def close(self) -> None:
        self._close(self._pool)


class Callbacks:
    """`apply` and `apply_async`, as multiprocessing.Pool has them."""

    backend = "asyncio"

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make

    async def start(self, size: int, job: str) -> None:
        self._job = JOBS[job]
        self._pool = self._make(size)

    async def alone(self, value: Any) -> Any:
        return self._pool.apply(self._job, (value,))

    async def call(self, value: Any) -> Any:
        future: Future[Any] = Future()
        settle = {"callback": future.set_result, "error_callback": future.set_exception}
        self._pool.apply_async(self._job, (value,), **settle)
        # A future that was cancelled could not be set any more, in a thread that all need.
        return await asyncio.shield(asyncio.wrap_future(future))

    async def close(self) -> None:
        self._pool.terminate()
