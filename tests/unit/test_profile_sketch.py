"""Percentiles of any number of durations, in bounded memory."""

from __future__ import annotations

import tracemalloc
from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool.profile.sketch import ACCURACY, LONGEST, MAX_BINS, MAX_PENDING, Sketch

# From a microsecond to 500 s, as many of each order of magnitude.
seconds = st.floats(-6.0, 2.7).map(lambda exponent: 10.0**exponent)
durations = st.lists(seconds, min_size=1, max_size=200)


def exact(values: list[float], share: float) -> float:
    """The value of the lower rank, as DDSketch defines its quantiles."""
    return sorted(values)[int(share * (len(values) - 1))]


@given(durations)
def test_percentiles_are_as_accurate_as_it_says(values: list[float]) -> None:
    sketch = Sketch()
    sketch.add(values)
    known = sketch.distribution()
    assert known is not None
    assert (known.count, known.min, known.max) == (len(values), min(values), max(values))
    assert known.total == pytest.approx(sum(values))
    assert known.mean == pytest.approx(sum(values) / len(values))
    for share, found in ((0.5, known.p50), (0.9, known.p90), (0.95, known.p95), (0.99, known.p99)):
        assert found == pytest.approx(exact(values, share), rel=1.01 * ACCURACY)


@given(st.lists(durations, max_size=5), st.integers(1, 3))
def test_one_portion_or_many_make_no_difference(portions: list[list[float]], weight: int) -> None:
    whole, parts = Sketch(), Sketch()
    whole.add(list(chain(*portions)), weight)
    for portion in portions:
        parts.add(portion, weight)
    one, two = whole.distribution(), parts.distribution()
    if one is None or two is None:
        assert one == two
        return
    assert one.total == pytest.approx(two.total)
    assert msgspec.structs.replace(one, total=0.0, mean=0.0) == msgspec.structs.replace(
        two, total=0.0, mean=0.0
    )


@given(durations, durations)
def test_two_that_are_merged_know_what_one_would(first: list[float], second: list[float]) -> None:
    merged, other, whole = Sketch(), Sketch(), Sketch()
    merged.add(first)
    other.add(second)
    merged.merge(other)
    whole.add(first + second)
    one, two = merged.distribution(), whole.distribution()
    assert one is not None
    assert two is not None
    assert one.total == pytest.approx(two.total)
    assert (one.p50, one.p90, one.p95, one.p99) == (two.p50, two.p90, two.p95, two.p99)
    assert (one.count, one.min, one.max) == (two.count, two.min, two.max)


def test_a_weight_counts_as_so_many() -> None:
    sketch = Sketch()
    sketch.add([1.0], weight=99)
    sketch.add([5.0])
    known = sketch.distribution()
    assert known is not None
    assert known.count == 100
    assert known.mean == pytest.approx(1.04)
    assert known.p95 == pytest.approx(1.0, rel=ACCURACY)


def test_nothing_is_known_of_nothing() -> None:
    sketch = Sketch()
    sketch.add([])
    assert sketch.distribution() is None


def test_zeros_are_durations() -> None:
    sketch = Sketch()
    sketch.add([0.0] * 9 + [1.0])
    known = sketch.distribution()
    assert known is not None
    assert (known.count, known.p50, known.max) == (10, 0.0, 1.0)


def test_zeros_count_with_their_weight() -> None:
    sketch = Sketch()
    sketch.add([0.0, 0.0], weight=4)
    sketch.add([1.0] * 5)
    known = sketch.distribution()
    assert known is not None
    assert (known.count, known.p50) == (13, 0.0)
    assert known.p90 == pytest.approx(1.0, rel=ACCURACY)


@pytest.mark.parametrize("others", [[-1.0], [2 * LONGEST], [-1.0, 2 * LONGEST, 1e308]])
@pytest.mark.parametrize("known", [0.0, 0.5, LONGEST])
def test_what_cannot_be_is_left_out(others: list[float], known: float) -> None:
    sketch = Sketch()
    sketch.add([*others, known])
    found = sketch.distribution()
    assert found is not None
    assert (found.count, found.total, found.max) == (1, known, known)


def test_bins_are_bounded_and_high_percentiles_stay_accurate() -> None:
    sketch = Sketch()
    sketch.add([0.5])
    assert 1 <= sketch.bins <= MAX_BINS
    values = [1e-9 * 1.02**place for place in range(1500)]
    sketch.add(values)
    assert sketch.bins <= MAX_BINS
    known = sketch.distribution()
    assert known is not None
    assert known.p99 == pytest.approx(exact(values, 0.99), rel=1.01 * ACCURACY)


def test_what_is_not_yet_in_bins_is_bounded() -> None:
    values = [1e-9 * 1.02**place for place in range(1500)]
    Sketch().add(values)  # what is made once for all
    tracemalloc.start()
    sketch = Sketch()
    sketch.add(values)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 32 * MAX_BINS + 80 * MAX_PENDING
