"""Runs of the stress command, made up."""

from __future__ import annotations

from typing import Any

from pool.cli.stress.measured import Footprint, Measured, Run, Toll
from pool.lifecycle import PoolState
from pool.stats import PoolStats


def stats(**known: Any) -> PoolStats:
    """A pool's picture with nothing in it but what is given."""
    nothing: dict[str, Any] = dict.fromkeys(PoolStats.__dataclass_fields__, 0)
    mappings = ("checkouts", "calls", "starts", "worker_exits", "validations", "pings", "circuits")
    nothing |= {name: {} for name in mappings}
    nothing |= {"name": "p", "state": PoolState.CLOSED, "workers": ()}
    return PoolStats(**{**nothing, **known})


def adding_up(measured: Measured, toll: Toll, **pools: Any) -> Run:
    """A run of a pool that counted what the load counted, unless `pools` says otherwise."""
    exits = {"signal": toll.ended.total()}
    errors = measured.errors
    known: dict[str, Any] = {
        "checkouts": {"ok": measured.successful + errors.total(), "shed": measured.shed},
        "calls": {"ok": measured.successful, "worker_lost": errors["BrokenWorkerError"]},
        "worker_starts": sum(exits.values()),
        "worker_exits": exits,
    }
    pool = stats(**{**known, **pools})
    held = Footprint(rss_mb=40.0, descriptors=9, tasks=1)
    return Run(measured, toll, None, loaded=pool, closed=pool, before=held, after=held)
