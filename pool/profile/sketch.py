"""The distribution of any number of durations, in bounded memory. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from math import ceil, inf, log
from typing import Any

from ddsketch import LogCollapsingLowestDenseDDSketch
from ddsketch.mapping import LogarithmicMapping

from pool.profile.report import Distribution

ACCURACY = 0.01
"""How far a percentile may be off, relative to it: DDSketch (Masson, Rim, Lee; VLDB 2019)."""

MAX_BINS = 1024
"""Bins of a sketch, 32 bytes each at most. With this accuracy they reach from 1 us to 750 s; of
what reaches farther the least values lose their accuracy."""

MAX_PENDING = 256
"""Bins whose counts may wait to be put in, 80 bytes each."""

LONGEST = 1e7
"""Seconds above which a duration is not believed (115 days)."""

_MAPPING: Any = LogarithmicMapping(ACCURACY)
_BASE: float = _MAPPING.gamma
_PER_E = 1 / log(_BASE)
_LEAST = 1e-9
"""Seconds below which a duration is none."""


class Sketch:
    """Durations in seconds. Count, sum, least and most are exact, percentiles within `ACCURACY`."""

    __slots__ = ("_bins", "_least", "_most", "_pending", "_total", "count")

    def __init__(self) -> None:
        self._bins: Any = LogCollapsingLowestDenseDDSketch(ACCURACY, MAX_BINS)
        self._pending: Counter[int] = Counter()
        self.count = 0
        self._total = 0.0
        self._least, self._most = inf, -inf

    def add(self, values: Sequence[float], weight: int = 1) -> None:
        """Add durations of which each counts `weight` times.

        Those of one bin go in together, and not before there are many bins: adding one
        by one takes twenty times as long.
        """
        ordered = sorted(values)
        if not ordered:
            return
        if ordered[0] < 0 or ordered[-1] > LONGEST:
            self.add([value for value in ordered if 0 <= value <= LONGEST], weight)
            return
        self.count += weight * len(ordered)
        self._total += weight * sum(ordered)
        self._least, self._most = min(ordered[0], self._least), max(ordered[-1], self._most)
        zeros = bisect_right(ordered, _LEAST)
        if zeros:
            self._bins.add(0.0, weight * zeros)
        pending, begin, end = self._pending, zeros, len(ordered)
        while begin < end:
            key = ceil(log(ordered[begin]) * _PER_E)
            # One at least: the bound of its bin may be rounded to less than it is.
            after = bisect_right(ordered, _BASE**key, begin + 1)
            pending[key] += weight * (after - begin)
            begin = after
        if len(pending) > MAX_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Put what is pending into its bins."""
        for key, times in self._pending.items():
            self._bins.add(_MAPPING.value(key), times)
        self._pending.clear()

    @property
    def bins(self) -> int:
        """How many bins there are, empty ones too."""
        self._settle()
        length: int = self._bins._store.length()
        return length

    def merge(self, other: Sketch) -> None:
        """Add all that another one has."""
        other._settle()
        self._bins.merge(other._bins)
        self.count += other.count
        self._total += other._total
        self._least, self._most = min(self._least, other._least), max(self._most, other._most)

    def distribution(self) -> Distribution | None:
        """What is known of the durations; None if there are none."""
        if not self.count:
            return None
        self._settle()
        p50, p90, p95, p99 = (self._quantile(share) for share in (0.5, 0.9, 0.95, 0.99))
        return Distribution(
            count=self.count,
            total=self._total,
            mean=self._total / self.count,
            min=self._least,
            max=self._most,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
        )

    def _quantile(self, share: float) -> float:
        value: float = self._bins.get_quantile_value(share)
        return min(max(value, self._least), self._most)
