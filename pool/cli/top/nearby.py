"""Readings of a pool in this process, under the load of the stress command."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from pool.cli.stress.measured import Measured, Samples
from pool.cli.top.histogram import FINE, Histogram, from_buckets
from pool.cli.top.reading import Metrics, Reading
from pool.stats import PoolStats
from pool.telemetry import histograms
from pool.usage import usage_of

LOAD = "operations"
"""What the load is called among commands."""


class Nearby:
    """Reads what the pool and the load count, and of each worker what /proc has.

    Nothing is measured for it. A reading takes some 50 microseconds and as many for each
    worker, and up to a millisecond for the percentiles.
    """

    def __init__(
        self, stats: Callable[[], PoolStats], measured: Measured, now: Callable[[], float]
    ) -> None:
        self._stats = stats
        self._measured = measured
        self._now = now
        self._latencies = Folded(measured.latencies)
        self._waits = Folded(measured.waits)

    def read(self) -> Reading:
        """The pool as it is now."""
        stats, measured = self._stats(), self._measured
        pids = {worker.slot: worker.pid for worker in stats.workers if worker.pid is not None}
        seen = {slot: usage_of(pid) for slot, pid in pids.items()}
        used = {slot: usage for slot, usage in seen.items() if usage is not None}
        ended = {"ok": measured.successful, "failed": measured.failed, "shed": measured.shed}
        metrics = Metrics(
            resident={slot: usage.resident for slot, usage in used.items()},
            cpu={slot: usage.cpu for slot, usage in used.items()},
            ended={(LOAD, outcome): count for outcome, count in ended.items()},
            durations={LOAD: self._latencies.fold()},
            waits=self._waits.fold() if measured.waits.count else None,
            oldest=stats.oldest_waiting,
            utilization=stats.busy_slots / stats.slots if stats.slots else None,
            backoff=stats.backoff,
        )
        return Reading(self._now(), stats, metrics)


class Folded:
    """A histogram of a series, made of its latest values each time.

    If more came since the last time than those, each stands for several.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._counted = histograms.Histogram(FINE)
        self._seen = 0

    def fold(self) -> Histogram:
        """Take in what has come since."""
        new = self._samples.count - self._seen
        if new:
            values = list(islice(reversed(self._samples.latest), new))
            self._counted.add(values, new / len(values))
            self._seen += new
        return from_buckets(dict(self._counted.buckets()))
