"""That the loop turns and memory is bounded while a child misbehaves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

MEGABYTE = 1024 * 1024
PAGE = 4096

MOST_CPU = 0.05
"""Seconds of this thread's own time between two turns of the loop."""


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Witness:
    """Another task of the same loop: how long it had to wait for its turn, and what it saw.

    Time is this thread's processor time, so that a busy machine does not count.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.most_memory = 0
        self.turns = 0

    async def watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)
            self.most_memory = max(self.most_memory, resident())
            self.turns += 1


class Formats(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


@contextmanager
def listening() -> Iterator[None]:
    """Somebody listens to what children write, and keeps none of it (pytest would)."""
    log, handler = logging.getLogger("bridgepool.stderr"), Formats()
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)
        log.removeHandler(handler)
        log.propagate = True


@asynccontextmanager
async def witnessed(memory: int) -> AsyncIterator[None]:
    """The loop turns meanwhile, and this process grows by no more than `memory`."""
    witness, before = Witness(), resident()
    watching = asyncio.create_task(witness.watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    assert witness.turns > 10
    assert witness.longest < MOST_CPU
    assert witness.most_memory - before < memory
