"""Histograms: quantiles, differences, and series that are folded into them."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool.cli.top.histogram import FINE, Histogram, from_buckets
from pool.telemetry import histograms

# As in Prometheus' own tests of the function, promql/testdata/histograms.test.
POSITIVE = Histogram((0.1, 0.2, 1.0, inf), (50, 70, 110, 120))
NEGATIVE = Histogram((-0.2, -0.1, 0.3, inf), (10, 20, 20, 30))


@pytest.mark.parametrize(
    ("histogram", "q", "value"),
    [
        (POSITIVE, 0.2, 0.048),
        (POSITIVE, 0.5, 0.15),
        (POSITIVE, 0.8, 0.72),
        (POSITIVE, 1.0, 1.0),
        (NEGATIVE, 0.2, -0.2),
        (NEGATIVE, 0.5, -0.15),
        (NEGATIVE, 0.8, 0.3),
    ],
)
def test_a_quantile_is_what_prometheus_says(histogram: Histogram, q: float, value: float) -> None:
    assert histogram.quantile(q) == pytest.approx(value)


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram((), ()),
        Histogram((1.0, inf), (0, 0)),
        Histogram((inf,), (3,)),
        Histogram((1.0, 2.0), (3, 3)),
        Histogram((1.0, inf), (nan, nan)),
        Histogram((1.0, inf), (1, inf)),
    ],
    ids=["empty", "no values", "one bound", "no infinite bound", "not a number", "infinite"],
)
def test_there_is_no_quantile_of_nothing(histogram: Histogram) -> None:
    assert histogram.quantile(0.5) is None


def test_two_bounds_and_half_a_value_are_enough() -> None:
    assert Histogram((1.0, inf), (0.5, 0.5)).quantile(0.5) == 0.5
    assert Histogram((1.0, inf), (0, 2)).quantile(0.5) == 1.0


def test_an_empty_bucket_below_does_not_count() -> None:
    assert Histogram((1.0, 2.0, inf), (0, 4, 4)).quantile(0.5) == 1.5


def test_a_difference_has_what_came_since() -> None:
    earlier = Histogram((0.1, 0.2, 1.0, inf), (50, 60, 60, 60))
    assert POSITIVE.since(earlier).counts == (0, 10, 50, 60)
    assert POSITIVE.since(None) is POSITIVE


def test_other_bounds_are_another_histogram() -> None:
    other = Histogram((0.1, inf), (1, 2))
    assert POSITIVE.since(other) is POSITIVE


def test_counts_never_go_down_from_bound_to_bound() -> None:
    # A bucket was read a moment before the next larger one.
    assert POSITIVE.since(Histogram(POSITIVE.bounds, (0, 30, 80, 80))).counts == (50, 50, 50, 50)
    assert from_buckets({inf: 2.0, 0.5: 3.0}) == Histogram((0.5, inf), (3.0, 3.0))


@given(st.lists(st.floats(2e-5, 900.0), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1]))
def test_a_folded_series_has_its_quantiles_within_a_bucket(values: list[float], q: float) -> None:
    counted = histograms.Histogram(FINE)
    counted.add(list(values), 2.5)
    histogram = from_buckets(dict(counted.buckets()))
    quantile = histogram.quantile(q)
    rank = next(i for i in range(1, len(values) + 1) if i >= q * len(values))
    exact = sorted(values)[rank - 1]
    assert quantile is not None
    assert exact / 1.13 <= quantile <= exact * 1.13
    assert histogram.total == pytest.approx(2.5 * len(values))
