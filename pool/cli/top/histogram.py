"""Histograms as Prometheus has them: so many values up to each bound. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from math import inf

from msgspec import Struct


class Histogram(Struct, frozen=True):
    """`counts[i]` values were at most `bounds[i]`; the last bound is infinite."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.counts[-1] if self.counts else 0.0

    def since(self, earlier: Histogram | None) -> Histogram:
        """What came after `earlier`; all of it if that has other bounds."""
        if earlier is None or earlier.bounds != self.bounds:
            return self
        return self._with(now - then for now, then in zip(self.counts, earlier.counts, strict=True))

    def quantile(self, q: float) -> float | None:
        """The value below which the share `q` of all is, as `histogram_quantile` of Prometheus.

        Linear within a bucket, whose lower bound is 0 for the first one; the largest
        finite bound for what is above that. None if there are no values.
        """
        if not 0 < self.total < inf or self.bounds[-1] != inf or len(self.bounds) < 2:
            return None
        rank = q * self.total
        place = bisect_left(self.counts, rank)
        if place >= len(self.bounds) - 1:
            return self.bounds[-2]
        if place == 0 and self.bounds[0] <= 0:
            return self.bounds[0]
        below, bound_below = (self.counts[place - 1], self.bounds[place - 1]) if place else (0, 0)
        share = (rank - below) / (self.counts[place] - below)
        return bound_below + (self.bounds[place] - bound_below) * share

    def _with(self, counts: Iterable[float]) -> Histogram:
        # A scrape is not taken in one instant: a larger bound may lack what a smaller one has.
        return Histogram(self.bounds, tuple(accumulate(counts, max)))


def from_buckets(buckets: dict[float, float]) -> Histogram:
    """A histogram of cumulative counts by upper bound."""
    bounds = tuple(sorted(buckets))
    return Histogram(bounds, tuple(accumulate((buckets[bound] for bound in bounds), max)))


FINE = tuple(10 ** (step / 20) for step in range(-100, 61))
"""Bounds from 10 microseconds to 1,000 seconds, 12 % apart."""
