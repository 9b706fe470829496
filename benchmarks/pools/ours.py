"""bridgepool, called in its two ways."""

from __future__ import annotations

import time
from typing import Any

from pool import WorkerPool


class Calls:
    """`pool.call`."""

    def __init__(self, backend: str = "asyncio", **options: Any) -> None:
        self.backend = backend
        self._options = options

    async def start(self, size: int, job: str) -> None:
        self._job = job
        self._pool = WorkerPool("bridge.echo", size=size, **self._options)
        await self._pool.open()
        await self._pool.wait_ready()

    async def alone(self, value: Any) -> Any:
        return await self._pool.call("echo", value)

    async def call(self, value: Any) -> Any:
        if self._job == "nap":
            return await self._nap(value)
        return await self._pool.call("echo", value)

    async def _nap(self, seconds: float) -> tuple[int, float]:
        # Only a lease knows its worker.
        async with self._pool.checkout() as worker:
            began = time.monotonic()
            await worker.call("sleep", {"seconds": seconds})
            return worker.pid or 0, began

    async def close(self) -> None:
        await self._pool.aclose()


class Checkouts(Calls):
    """A checkout for each call."""

    async def alone(self, value: Any) -> Any:
        async with self._pool.checkout() as worker:
            return await worker.call("echo", value)

    async def call(self, value: Any) -> Any:
        if self._job == "nap":
            return await self._nap(value)
        async with self._pool.checkout() as worker:
            return await worker.call("echo", value)
