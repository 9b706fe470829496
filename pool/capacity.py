"""How many workers to start now. Pure: decided from counts alone, never from a history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration allows."""

    size: int
    overflow: int
    start_concurrency: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is.

    `starting` and `serving` workers (ready, none of their slots abandoned);
    of these `busy`; `waiting` checkouts; `keep`, the workers that were in
    service and were not dismissed, lost ones included; `floor`, the workers
    wanted without demand (`min_ready`, `wait_ready`); `abandoned` workers.
    """

    starting: int
    serving: int
    busy: int
    waiting: int
    keep: int
    floor: int
    abandoned: int


def wanted(limits: Limits, counts: Counts) -> int:
    """How many workers there should be in service or on their way to it.

    Overflow comes only once `size` workers serve and all of them are busy: a
    start under way answers the demand first.
    """
    demand = counts.busy + counts.waiting
    if counts.waiting and counts.busy >= limits.size:
        return min(limits.size + limits.overflow, demand)
    return min(limits.size, max(counts.floor, counts.keep - counts.abandoned, demand))


def starts(limits: Limits, counts: Counts) -> int:
    """How many workers to launch now; those under way count against the concurrency."""
    missing = wanted(limits, counts) - counts.serving - counts.starting
    return max(0, min(missing, limits.start_concurrency - counts.starting))
