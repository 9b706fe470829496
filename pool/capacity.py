"""How many workers to start now. Pure: decided from counts alone, never from a history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration allows."""

    size: int
    overflow: int
    start_concurrency: int
    concurrency: int = 1
    """Calls at a time on one worker."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is, and what is wanted besides what callers ask for.

    There are `starting` workers; `serving` ones (ready, in service, not all of
    their slots abandoned) with `slots` that are not abandoned, of these `busy`;
    `spare` workers (ready, held back); `abandoned` ones; and `waiting` checkouts.
    Wanted are `keep`, the workers that were in service and were not dismissed,
    lost ones included; `floor`, in any case (`min_ready`, `wait_ready`); and
    `reserve` spares.
    """

    starting: int = 0
    serving: int = 0
    slots: int = 0
    busy: int = 0
    waiting: int = 0
    spare: int = 0
    abandoned: int = 0
    keep: int = 0
    floor: int = 0
    reserve: int = 0


def wanted(limits: Limits, counts: Counts) -> int:
    """How many workers there should be in service or on their way to it.

    Overflow comes only once `size` workers serve and all their slots are busy:
    a start under way answers the demand first.
    """
    lacking = counts.busy + counts.waiting - counts.slots
    demand = counts.serving - (-lacking // limits.concurrency)  # rounded up
    if counts.waiting and counts.serving >= limits.size and counts.busy >= counts.slots:
        return min(limits.size + limits.overflow, demand)
    return min(limits.size, max(counts.floor, counts.keep - counts.abandoned, demand))


def promotions(limits: Limits, counts: Counts) -> int:
    """How many spares to put in service now: one that is ready comes before one that starts."""
    return max(0, min(counts.spare, wanted(limits, counts) - counts.serving))


def starts(limits: Limits, counts: Counts) -> int:
    """How many workers to launch now; those under way count against the concurrency.

    Who serves beyond what is wanted is no spare: that it is lent changes nothing.
    """
    to_serve = max(0, wanted(limits, counts) - counts.serving)
    missing = to_serve + counts.reserve - counts.spare - counts.starting
    return max(0, min(missing, limits.start_concurrency - counts.starting))


def is_at_limit(limits: Limits, counts: Counts) -> bool:
    """Whether one more who waits could change nothing: none may be started or promoted."""
    most = limits.size + limits.overflow
    there = counts.serving + counts.starting + counts.spare
    return there >= most + counts.reserve and (not counts.spare or counts.serving >= most)
