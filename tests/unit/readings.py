"""Readings of a pool, made up."""

from __future__ import annotations

from math import inf
from typing import Any

from pool.cli.top.histogram import Histogram
from pool.cli.top.reading import Metrics, Reading
from pool.cli.top.snapshot import Readings, Snapshot
from pool.lifecycle import PoolState
from pool.stats import WorkerStats
from tests.unit.runs import stats

BOUNDS = (0.01, 0.1, 1.0, inf)


def worker(slot: int, **known: Any) -> WorkerStats:
    """A worker that idles, unless said otherwise."""
    given = {"name": f"w-{slot}", "pid": 1000 + slot, "generation": 1, "state": "idle"}
    return WorkerStats(**{**given, "calls": 0, "age": 9.0, "slot": slot, **known})


def reading(at: float, metrics: Metrics | None = None, **pools: Any) -> Reading:
    """An open pool with nothing in it but what is given."""
    given: dict[str, Any] = {"state": PoolState.OPEN, "start_method": "spawn", "name": "echo"}
    return Reading(at, stats(**{**given, **pools}), metrics or Metrics())


def durations(*counts: float) -> dict[str, Histogram]:
    """Of one command, "ask"."""
    return {"ask": Histogram(BOUNDS, counts)}


def last(*some: Reading) -> Snapshot:
    """What there is to show after these."""
    readings = Readings()
    return [readings.add(each) for each in some][-1]
