"""Looks at how much memory workers have of their own, where there is a limit to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import anyio

from pool.worker.worker import Worker

_log = logging.getLogger("bridgepool")

MEMORY_INTERVAL = 1.0
"""Seconds between looks. Reading it costs the kernel a walk over the worker's pages, about 1 ms
per 100 MB, so only workers that have answered a call since the last look are asked."""


async def watch_memory(
    workers: Callable[[], Iterable[Worker]], tell: Callable[[Worker, int], None]
) -> None:
    """`tell` what each worker has grown to, again and again."""
    calls_at_last_look: dict[str, int] = {}
    while True:
        await anyio.sleep(MEMORY_INTERVAL)
        calls = {worker: worker.finished_calls for worker in workers()}
        for worker, finished in calls.items():
            if finished > calls_at_last_look.get(worker.name, 0):
                size = await worker.private_memory()
                if size is not None:
                    tell(worker, size)
        calls_at_last_look = {worker.name: finished for worker, finished in calls.items()}
