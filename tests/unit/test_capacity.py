"""How many workers to start, from counts alone."""

from __future__ import annotations

import pytest

from pool.capacity import Counts, Limits, starts

LIMITS = Limits(size=8, overflow=4, start_concurrency=3)


def counts(
    starting: int = 0,
    serving: int = 0,
    busy: int = 0,
    waiting: int = 0,
    keep: int = 0,
    floor: int = 0,
    abandoned: int = 0,
) -> Counts:
    return Counts(starting, serving, busy, waiting, keep, floor, abandoned)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(counts(), 0, id="nothing starts before it is needed"),
        pytest.param(counts(waiting=2), 2, id="one for each who waits"),
        pytest.param(counts(waiting=10), 3, id="no more at once than may start"),
        pytest.param(counts(waiting=10, starting=3), 0, id="those under way count"),
        pytest.param(counts(waiting=1, starting=1), 0, id="a start under way answers one"),
        pytest.param(counts(floor=2), 2, id="min_ready needs no demand"),
        pytest.param(counts(floor=2, serving=2), 0, id="the floor is reached"),
        pytest.param(counts(keep=8, serving=7), 1, id="a lost worker is replaced unasked"),
        pytest.param(counts(keep=8, serving=8, busy=8, waiting=2), 2, id="overflow when all busy"),
        pytest.param(counts(serving=8, busy=7, waiting=2), 0, id="no overflow while one is free"),
        pytest.param(
            counts(serving=7, busy=7, starting=1, waiting=5), 0, id="no overflow while one starts"
        ),
        pytest.param(counts(serving=12, busy=12, waiting=50), 0, id="size and overflow bound all"),
        pytest.param(
            counts(keep=8, serving=7, abandoned=1), 0, id="an abandoned worker is not replaced idly"
        ),
        pytest.param(
            counts(keep=8, serving=7, busy=7, abandoned=1, waiting=1),
            1,
            id="an abandoned worker does not count against size",
        ),
    ],
)
def test_starts(now: Counts, expected: int) -> None:
    assert starts(LIMITS, now) == expected
