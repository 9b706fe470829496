"""The size of a batch follows the time that calls take."""

from __future__ import annotations

import pytest

from pool.dataset.batching import GROWTH, MOST, TARGET, BatchSize


def test_it_begins_with_calls_of_their_own() -> None:
    assert BatchSize().now == 1


def test_it_grows_by_a_factor_until_the_target_is_reached() -> None:
    size = BatchSize()
    sizes = []
    for _ in range(5):
        size.took(size.now, size.now * TARGET / 100)
        sizes.append(size.now)
    assert sizes == [GROWTH, GROWTH**2, GROWTH**3, 100, 100]


def test_it_grows_from_what_the_last_batch_was() -> None:
    size = BatchSize()
    size.took(10, 10 * TARGET / 1000)
    assert size.now == 10 * GROWTH


@pytest.mark.parametrize("most", [7, MOST])
def test_it_is_bounded_however_quick_calls_are(most: int) -> None:
    size = BatchSize(most)
    for _ in range(10):
        size.took(most, 0.0)
    assert size.now == most


def test_a_call_that_takes_the_target_is_alone() -> None:
    size = BatchSize()
    size.took(1, TARGET)
    assert size.now == 1
    size.took(1, TARGET * 100)
    assert size.now == 1


def test_two_fit_when_each_takes_half() -> None:
    size = BatchSize()
    size.took(1, TARGET / 2)
    assert size.now == 2


def test_a_slow_one_counts_for_a_quarter() -> None:
    size = BatchSize()
    size.took(100, 100 * TARGET / 100)
    size.took(100, 100 * TARGET / 20)  # mean: 1/100 + (1/20 - 1/100) / 4 = 1/50 of the target
    assert size.now == 50
