"""What one look at a pool finds. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from pool.cli.top.histogram import Histogram
from pool.stats import PoolStats


class Metrics(Struct, frozen=True, kw_only=True):
    """What the pool's picture does not have. Seconds, bytes; by slot for each worker.

    `ended` counts calls by command and outcome, `durations` are of the calls of each
    command. What is None or not there is not known.
    """

    oldest: float | None = None
    utilization: float | None = None
    backoff: float | None = None
    resident: dict[int, float] = {}
    cpu: dict[int, float] = {}
    ended: dict[tuple[str, str], float] = {}
    durations: dict[str, Histogram] = {}
    waits: Histogram | None = None
    lags: Histogram | None = None


class Reading(Struct, frozen=True):
    """The pool `at` an instant, in seconds of the reader's clock.

    `lacking` is why there are no `metrics`, if there are none.
    """

    at: float
    stats: PoolStats
    metrics: Metrics = Metrics()
    lacking: str | None = None


def is_of_another_life(reading: Reading, earlier: Reading) -> bool:
    """Whether a count is lower than it was: the pool has been opened anew between the two."""
    before = dict(_counts(earlier))
    return any(count < before.get(name, 0) for name, count in _counts(reading))


def _counts(reading: Reading) -> Iterator[tuple[Any, float]]:
    stats, metrics = reading.stats, reading.metrics
    yield "starts", stats.worker_starts
    for name in ("checkouts", "calls", "worker_exits"):
        # A kind that was counted before and is not any more has fallen to nothing.
        yield name, sum(getattr(stats, name).values())
    yield from metrics.ended.items()
    yield from (((command,), each.total) for command, each in metrics.durations.items())
