"""One run of the stress command: a pool, a load, chaos, and somebody who watches."""

from __future__ import annotations

from random import Random
from typing import Any

from pool import WorkerPool
from pool.cli.serving import Address, shown
from pool.cli.stress.chaos import Chaos, Plan
from pool.cli.stress.ending import ended_by_signals
from pool.cli.stress.load import Load, LoadRun
from pool.cli.stress.measured import Run
from pool.cli.stress.operations import Operation
from pool.cli.stress.showing import showing
from pool.cli.stress.watch import footprint, watching


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
    pool's is served meanwhile. SIGINT and SIGTERM end the load, and the run in order. On
    a terminal a `view` of the pool is shown, else a bar.
    """
    before = footprint()
    async with shown(pool, telemetry), pool:
        offered = LoadRun(pool, load, operation, inputs)
        chaos = Chaos(pool, plan, Random(load.seed), patience)
        with showing(pool, load, offered.measured, view=view) as show:
            watched = watching(pool, show)
            async with chaos.at_large(), watched as availability:
                with ended_by_signals(offered.end) as came:
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
        ended_by=came[0] if came else None,
    )
