"""One run of the map command: a pool, what is to be called, and where the results go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from msgspec import Raw

from pool import WorkerPool
from pool.cli.map.dataset import Dataset
from pool.cli.map.interruption import Interruption
from pool.cli.map.output import Output
from pool.dataset.results import Results

PERIOD = 0.1
"""Seconds from one look at the progress to the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command to call for each item of a dataset, with the `settings` of a map."""

    command: str
    dataset: Dataset
    output: Output
    size: int
    settings: dict[str, Any]


async def conduct(
    job: Job, pool: WorkerPool, interruption: Interruption, on_look: Callable[[], None]
) -> None:
    """Call for all items and write what comes of them, also of those that were done when it ends.

    `on_look` is called again and again. Raises what ends the whole, and `CancelledError`
    when it is interrupted.
    """
    interruption.cancels(asyncio.current_task())
    try:
        items = iter(job.dataset)
        # No worker starts that would have nothing to do.
        first = list(islice(items, job.size))
        if first:
            async with pool, _looking(on_look):
                # Before the map: an item's time is not to be spent on a worker's start.
                await pool.wait_ready(len(first), timeout=None)
                await _call_for(job, pool, chain(first, items))
    finally:
        interruption.cancels(None)


async def _call_for(job: Job, pool: WorkerPool, items: Iterable[object]) -> None:
    mapping = pool.map(job.command, items, result_type=Raw, **job.settings)
    async with mapping as results:
        await write_results(results, job)


async def write_results(results: Results, job: Job) -> None:
    """Write all results as they come; cancelled, those that are there already."""
    try:
        while runs := await results.take():
            job.output.write(job.dataset.records(runs))
    except asyncio.CancelledError:
        if runs := results.take_ready():
            job.output.write(job.dataset.records(runs))
        raise


@asynccontextmanager
async def _looking(on_look: Callable[[], None]) -> AsyncIterator[None]:
    task = asyncio.create_task(_look_again_and_again(on_look))
    try:
        yield
    finally:
        task.cancel()
        on_look()


async def _look_again_and_again(on_look: Callable[[], None]) -> None:
    while True:
        on_look()
        await asyncio.sleep(PERIOD)
