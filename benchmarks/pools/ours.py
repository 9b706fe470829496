"""bridgepool, called in its two ways."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from pool import WorkerPool


class Calls:
    """`pool.call`."""

    def __init__(self, backend: str = "asyncio", command: str = "echo", **options: Any) -> None:
        self.backend = backend
        self._command = command
        self._options = options

    async def start(self, size: int, job: str) -> None:
        self._job = job
        self.pool = WorkerPool("bridge.echo", size=size, **self._options)
        await self.pool.open()
        await self.pool.wait_ready()

    async def alone(self, value: Any) -> Any:
        return await self.pool.call(self._command, value)

    async def call(self, value: Any) -> Any:
        if self._job == "nap":
            return await self._nap(value)
        return await self.pool.call(self._command, value)

    async def _nap(self, seconds: float) -> tuple[int, float]:
        # Only a lease knows its worker.
        async with self.pool.checkout() as worker:
            began = time.monotonic()
            await worker.call("sleep", {"seconds": seconds})
            return worker.pid or 0, began

    async def close(self) -> None:
        await self.pool.aclose()


class Blobs(Calls):
    """Bytes that come back as bytes; without `memory` by a bridge that has none."""

    def __init__(self, *, memory: bool) -> None:
        super().__init__()
        self._argv = None if memory else [sys.executable, "-m", "bridge", "bridge.echo"]

    async def start(self, size: int, job: str) -> None:
        bridge = "bridge.echo" if self._argv is None else None
        self.pool = WorkerPool(bridge, argv=self._argv, size=size)
        await self.pool.open()
        await self.pool.wait_ready()

    async def alone(self, value: Any) -> Any:
        return await self.pool.call("blob", {"data": value}, result_type=bytes)

    call = alone


class Waits(Calls):
    """Calls that wait, hundreds at a time on each of two workers, however many are asked for."""

    async def start(self, size: int, job: str) -> None:
        assert job == "nap"
        await super().start(2, job)

    async def call(self, value: Any) -> Any:
        return await self.pool.call("asleep", {"seconds": value})


class Maps(Calls):
    """`pool.map`."""

    async def map(self, values: Iterable[object]) -> int:
        """Call for all; return how many results came, each in its place."""
        count = 0
        async with self.pool.map(self._command, values) as results:
            async for _ in results:
                count += 1
        return count


class Streams(Calls):
    """`pool.stream`."""

    async def first(self) -> None:
        """Wait for the one item of a stream."""
        async with self.pool.stream("count", {"n": 1}) as items:
            await anext(items)

    async def read(self, count: int) -> None:
        """Read a stream to its end."""
        async with self.pool.stream("count", {"n": count}) as items:
            read = sum([1 async for _ in items])
        if read != count:
            raise ValueError(f"{read} items came of {count}")


class Checkouts(Calls):
    """A checkout for each call."""

    async def alone(self, value: Any) -> Any:
        async with self.pool.checkout() as worker:
            return await worker.call("echo", value)

    async def call(self, value: Any) -> Any:
        if self._job == "nap":
            return await self._nap(value)
        async with self.pool.checkout() as worker:
            return await worker.call("echo", value)
