"""Counts of values by size."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as some

from pool.telemetry.histograms import DURATIONS, SIZES, Histogram

BOUNDS = (0.1, 0.5, 2.0)


@given(some.lists(some.lists(some.floats(0, 5))))
def test_each_bucket_has_the_values_up_to_its_bound(portions: list[list[float]]) -> None:
    histogram = Histogram(BOUNDS)
    for portion in portions:
        histogram.add(list(portion))
    values = [value for portion in portions for value in portion]
    expected = [(bound, sum(value <= bound for value in values)) for bound in (*BOUNDS, inf)]
    assert list(histogram.buckets()) == expected
    assert histogram.count == len(values)
    assert abs(histogram.sum - sum(values)) < 1e-6


def test_a_value_on_a_bound_is_below_it() -> None:
    histogram = Histogram(BOUNDS)
    histogram.add([0.5])
    assert list(histogram.buckets()) == [(0.1, 0), (0.5, 1), (2.0, 1), (inf, 1)]


def test_the_bounds_rise() -> None:
    for bounds in (DURATIONS, SIZES):
        assert list(bounds) == sorted(set(bounds))
