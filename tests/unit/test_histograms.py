"""Counts of values by size."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pool.config import PoolConfig
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


@pytest.mark.parametrize(("bounds", "most"), [(DURATIONS, 3), (SIZES, 4)])
def test_the_bounds_rise_in_even_steps(bounds: tuple[float, ...], most: float) -> None:
    steps = [after / before for before, after in pairwise(bounds)]
    assert min(steps) >= 2
    assert max(steps) <= most * 1.000_001


def test_the_bounds_reach_from_an_echo_to_the_longest_that_is_usual() -> None:
    usual = PoolConfig(bridge="b")
    assert (DURATIONS[0], DURATIONS[-1]) == (0.0001, usual.start_timeout)
    assert (SIZES[0], SIZES[-1]) == (64, usual.max_frame_bytes)
