"""Whether a worker's memory grows, and how fast. Pure.

The slope is the median of the slopes of all pairs of points (Theil 1950; Sen,
J. Am. Stat. Assoc. 63, 1968): up to 29 % of the points may be anything, so that no peak
makes a trend. Nor does one step, a cache that was filled: both halves must rise. Whether
there is a trend at all is tested by Mann (1945) and Kendall, with the correction for ties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from math import erfc, sqrt
from statistics import median

from pool.profile.report import Memory, Trend

FEWEST = 6
"""Points below which no trend can be significant: six that rise have p = 0.009."""

SIGNIFICANT = 0.01
"""The chance with which points without a trend may be said to have one."""

ALLOWANCE = 4 * 1024 * 1024
"""Bytes by which a worker may grow in the later half of what was seen of it: arenas of the
allocator, caches, late imports. A worker of more than 400 MB may grow by `SHARE`."""

SHARE = 0.01

Point = tuple[float, float]


def slope(points: Sequence[Point]) -> float:
    """The median slope of all pairs; 0 if there are none."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 > x1]
    return median(slopes) if slopes else 0.0


def chance(values: Sequence[float]) -> float:
    """How likely values without a trend are to rise or fall as clearly as these (two-sided)."""
    rises = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    if not rises:
        return 1.0
    n = len(values)
    tied = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - tied) / 18
    z = (abs(rises) - 1) / sqrt(variance)
    return erfc(z / sqrt(2))


def tells(series: Sequence[Memory]) -> bool:
    """Whether there are enough points for a trend to be seen, if there is one."""
    return len(series) >= FEWEST


def trend(series: Sequence[Memory]) -> Trend:
    """What the memory of a worker does.

    The later half of the series counts: in the first one a worker warms up. Where
    the worker had calls, moments in which it was idle are left out: a leak in calls
    does not grow then.
    """
    seen = _later_half(_at_work(series))
    sizes = [float(point.resident) for point in seen]
    if chance(sizes) > SIGNIFICANT:
        return Trend()
    growth = _growth(sizes, len(sizes))
    # A leak goes on: what rises in one half only was filled then.
    middle = len(sizes) // 2
    halves = (_growth(half, len(sizes)) for half in (sizes[:middle], sizes[middle:]))
    allowed = max(ALLOWANCE, SHARE * sizes[0])
    per_second = slope([(point.at, point.resident) for point in seen])
    return Trend(
        direction="up" if per_second > 0 else "down" if per_second < 0 else "flat",
        bytes_per_second=per_second,
        bytes_per_call=slope([(point.calls, point.resident) for point in seen]),
        growth=growth,
        allowed=allowed,
        leak_suspected=growth > allowed and min(halves) > allowed / 2,
    )


def _growth(sizes: Sequence[float], points: int) -> float:
    """The bytes that so many points would grow by, at the pace of these."""
    return slope(list(enumerate(sizes))) * (points - 1)


def _at_work(series: Sequence[Memory]) -> Sequence[Memory]:
    """The points before which the worker had calls, or all if there are few of them."""
    worked = [later for earlier, later in pairwise(series) if later.calls > earlier.calls]
    return worked if len(worked) >= FEWEST else series


def _later_half(series: Sequence[Memory]) -> Sequence[Memory]:
    return series[-max(FEWEST + 2, (len(series) + 1) // 2) :]
