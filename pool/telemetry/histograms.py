"""Counts of values by size, for many values at a time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from math import inf
from typing import TypeVar

N = TypeVar("N", int, float)

DURATIONS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
"""Seconds: from a tenth of a millisecond, the time of an echo, to the longest default timeout."""

SIZES = tuple(float(4**power) for power in range(3, 14))
"""Bytes: powers of four from 64 B to 64 MiB, the default of `max_frame_bytes`."""


class Histogram:
    """How many values there were up to each of some bounds, and their sum."""

    __slots__ = ("_bounds", "_upto", "count", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._upto = [0.0] * len(bounds)
        self.count = 0.0
        self.sum = 0.0

    def add(self, values: list[N], weight: float = 1) -> None:
        """Count each of these values as `weight` of them.

        The list is sorted, which costs a tenth of looking at each.
        """
        values.sort()
        upto = self._upto
        for index, bound in enumerate(self._bounds):
            upto[index] += weight * bisect_right(values, bound)
        self.count += weight * len(values)
        self.sum += weight * sum(values)

    def buckets(self) -> Iterator[tuple[float, float]]:
        """Each bound with the count of values up to it, the last one infinite."""
        yield from zip(self._bounds, self._upto, strict=True)
        yield inf, self.count
