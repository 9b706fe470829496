"""One run of the stress command: a pool, a load, chaos, and somebody who watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from rich.progress import MofNCompleteColumn, TimeElapsedColumn

from pool import WorkerPool
from pool.cli.bar import bar, is_shown
from pool.cli.chaos import Chaos, Plan
from pool.cli.load import Load, LoadRun
from pool.cli.measured import Measured, Run
from pool.cli.operations import Operation
from pool.cli.serving import Address, shown
from pool.cli.top.live import Drawn, live
from pool.cli.top.nearby import Nearby
from pool.cli.watch import footprint, watching


async def conduct(
    pool: WorkerPool,
    load: Load,
    operation: Operation,
    inputs: list[dict[str, Any]],
    plan: Plan,
    patience: float,
    telemetry: Address | None = None,
    *,
    view: bool = False,
) -> Run:
    """Open the pool, offer it the load while faults befall it as planned, and close it.

    `patience` is how many seconds the last victims have to end; `telemetry` is where the
    pool's is served meanwhile. On a terminal the pool can be seen (`view`), else a bar.
    """
    before = footprint()
    async with shown(pool, telemetry), pool:
        offered = LoadRun(pool, load, operation, inputs)
        chaos = Chaos(pool, plan, Random(load.seed), patience)
        drawn = _view(pool, offered.measured, load) if view and is_shown() else None
        with drawn or _progress(load.operations) as show:
            watched = watching(pool, lambda: show(offered.measured))
            async with chaos.at_large(), watched as availability:
                await offered.run()
        loaded = pool.stats()
    return Run(
        measured=offered.measured,
        toll=chaos.toll,
        available=availability.mean,
        loaded=loaded,
        closed=pool.stats(),
        before=before,
        after=footprint(),
    )


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[Measured], None]]:
    with bar("operations", MofNCompleteColumn(), TimeElapsedColumn(), total=total) as update:
        yield lambda measured: update(completed=measured.ended)


@contextmanager
def _view(pool: WorkerPool, measured: Measured, load: Load) -> Iterator[Callable[[Measured], None]]:
    now = asyncio.get_running_loop().time
    drawn = Drawn("stress", Nearby(pool.stats, measured, now).read)
    began = now()
    with live(drawn):
        yield lambda measured: drawn.look(now(), _so_far(measured, load, now() - began))


def _so_far(measured: Measured, load: Load, seconds: float) -> str:
    of = "" if load.operations is None else f" of {load.operations:,}"
    until = "" if load.duration is None else f" of {load.duration:g}"
    return (
        f"{measured.ended:,}{of} operations: {measured.failed:,} failed, "
        f"{measured.shed:,} shed, {seconds:.0f}{until} s"
    )
