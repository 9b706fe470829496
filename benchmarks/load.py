"""Many calls at a time."""

from __future__ import annotations

import time
from typing import Any

import anyio

from benchmarks.pools import Contender

CALLERS = 64
"""Tasks that keep a pool busy."""

WARM_UP = 0.8
"""Seconds of calls before anything is measured: then workers that start on demand are there."""


async def storm(contender: Contender, value: Any, seconds: float, callers: int = CALLERS) -> int:
    """Call from so many tasks for so long; return how many calls were answered."""
    until = time.monotonic() + seconds
    done = 0

    async def caller() -> None:
        nonlocal done
        while time.monotonic() < until:
            await contender.call(value)
            done += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(caller)
    return done
