"""Pools behind one interface, each adapted in a few lines."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any, Protocol, Self

from benchmarks import workloads
from benchmarks.workloads import WORKLOADS, Workload
from pool import BrokenWorkerError, Lease, WorkerPool

PROGRAM = {"id": "qa", "signature": workloads.SIGNATURE}


class Lost(Exception):
    """The operation failed because its worker did, or another one."""


class Contender(Protocol):
    """A pool of `size` workers for one workload; entered, it is as cold as it gets."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def ready(self, count: int) -> None:
        """Return when so many workers could answer."""
        ...

    async def prepare(self) -> None:
        """Do what is done once before operations that need not create their program."""
        ...

    async def operate(self, question: str, *, create: bool = False) -> tuple[int, float]:
        """Run one operation; return who did it and when it was taken on; may raise `Lost`."""
        ...

    def victims(self) -> list[int]:
        """Workers at work, one of which can be killed."""
        ...


class Bridgepool:
    def __init__(self, workload: str, size: int, api_base: str | None, **options: Any) -> None:
        self._workload: Workload = WORKLOADS[workload]
        bridge_options = self._workload.options(api_base)
        self._pool = WorkerPool(self._workload.bridge, size=size, options=bridge_options, **options)

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._pool.terminate()

    async def ready(self, count: int) -> None:
        await self._pool.wait_ready(count)

    async def prepare(self) -> None:
        if self._workload.model is not None:
            await self._pool.call("create_program", PROGRAM)

    async def operate(self, question: str, *, create: bool = False) -> tuple[int, float]:
        try:
            async with self._pool.checkout() as worker:
                taken, pid = time.monotonic(), worker.pid or 0
                await self._run(worker, question, create=create)
                return pid, taken
        except BrokenWorkerError as error:
            raise Lost from error

    async def _run(self, worker: Lease, question: str, *, create: bool) -> None:
        if self._workload.model is None:
            await worker.call("sleep", {"seconds": self._workload.pause})
            return
        if create:
            await worker.call("create_program", PROGRAM)
        asked = {"program_id": PROGRAM["id"], "inputs": {"question": question}}
        await worker.call("execute_program", asked)

    def victims(self) -> list[int]:
        workers = self._pool.stats().workers
        return [w.pid for w in workers if w.pid and w.calls and w.state in ("busy", "idle")]


class Futures:
    """Any executor of `concurrent.futures`' kind; a broken one is made anew by its caller."""

    def __init__(self, make: Callable[[], Executor], size: int) -> None:
        self._make = make
        self._size = size
        self._executor: Any = make()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for pid in self.victims():
            os.kill(pid, signal.SIGKILL)
        self._executor.shutdown(wait=False)

    async def ready(self, count: int) -> None:
        seen: set[int] = set()
        while len(seen) < count:
            asked = [self._run(workloads.idle, 0.02) for _ in range(self._size)]
            for answer in asyncio.as_completed(asked):
                seen.add(await answer)

    async def prepare(self) -> None:
        pass  # each process builds its own

    async def operate(self, question: str, *, create: bool = False) -> tuple[int, float]:
        executor = self._executor
        try:
            answer: tuple[int, float] = await self._run(workloads.operate, question, create)
        except Exception as error:
            if self._executor is executor:
                self._executor = self._make()
                await asyncio.to_thread(executor.shutdown, wait=False)
            raise Lost from error
        return answer

    def victims(self) -> list[int]:
        return list(self._executor._processes or {})

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.wrap_future(self._executor.submit(function, *args))


def _standard(method: str) -> Callable[..., Contender]:
    def make(workload: str, size: int, api_base: str | None) -> Contender:
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            modules = ["benchmarks.workloads"]
            if workload != "bare":
                modules += ["bridge.dspy_bridge"]
            if workload == "dspy+litellm":
                modules += ["litellm"]
            context.set_forkserver_preload(modules)
        start = (workload, api_base)
        return Futures(lambda: ProcessPoolExecutor(size, context, workloads.load, start), size)

    return make


def _loky(workload: str, size: int, api_base: str | None) -> Contender:
    from loky import ProcessPoolExecutor as LokyExecutor

    start = (workload, api_base)
    return Futures(lambda: LokyExecutor(size, initializer=workloads.load, initargs=start), size)


def _ours(**options: Any) -> Callable[..., Contender]:
    return lambda workload, size, api_base: Bridgepool(workload, size, api_base, **options)


CONTENDERS: dict[str, Callable[..., Contender]] = {
    "bridgepool forkserver": _ours(start_method="forkserver"),
    "bridgepool spawn": _ours(start_method="spawn"),
    "bridgepool forkserver, 1 spare": _ours(start_method="forkserver", spares=1),
    "ProcessPoolExecutor forkserver": _standard("forkserver"),
    "ProcessPoolExecutor spawn": _standard("spawn"),
    "loky": _loky,
}
