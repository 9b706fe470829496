"""A series of any length keeps points of all of its time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool.profile.series import Series, later


@given(st.integers(0, 3000), st.sampled_from([2, 8, 64]))
def test_it_is_bounded_and_has_the_whole_time(count: int, limit: int) -> None:
    series: Series[int] = Series(limit, later)
    for point in range(count):
        series.add(point)
    points = series.points
    assert len(points) <= limit + 1
    assert points == sorted(points)
    assert len(points) > limit // 2 or len(points) == count
    if points:
        assert points[-1] == count - 1
        gaps = {after - before for before, after in pairwise(points[:-1])}
        assert len(gaps) <= 1  # evenly spread
        assert points[-1] - points[-2:][0] <= max(gaps, default=count)


@given(st.lists(st.integers(), min_size=1, max_size=500))
def test_what_is_merged_is_of_all_points(values: list[int]) -> None:
    series: Series[tuple[int, ...]] = Series(8, lambda earlier, later: earlier + later)
    for value in values:
        series.add((value,))
    assert [value for point in series.points for value in point] == values


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_a_limit_that_cannot_be_halved(limit: int) -> None:
    with pytest.raises(ValueError, match="even"):
        Series(limit, later)
