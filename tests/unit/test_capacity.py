"""How many workers to start, from counts alone."""

from __future__ import annotations

import pytest

from pool.capacity import Counts, Limits, is_at_limit, promotions, starts, wanted

LIMITS = Limits(size=8, overflow=4, start_concurrency=3)


def counts(**given: int) -> Counts:
    """Of workers with one slot each."""
    return Counts(**{"slots": given.get("serving", 0), **given})


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
        pytest.param(counts(serving=9, busy=9), 0, id="overflow only for who waits"),
        pytest.param(counts(serving=12, busy=12, waiting=50), 0, id="size and overflow bound all"),
        pytest.param(
            counts(keep=8, serving=7, abandoned=1), 0, id="an abandoned worker is not replaced idly"
        ),
        pytest.param(
            counts(keep=8, serving=7, busy=7, abandoned=1, waiting=1),
            1,
            id="an abandoned worker does not count against size",
        ),
        pytest.param(counts(serving=1, keep=1, reserve=2), 2, id="spares besides those that serve"),
        pytest.param(counts(serving=1, keep=1, reserve=2, spare=2), 0, id="all spares are there"),
        pytest.param(counts(serving=1, starting=1, keep=1, reserve=1), 0, id="a spare starts"),
        pytest.param(counts(waiting=1, spare=1), 0, id="a spare is there for who waits"),
    ],
)
def test_starts(now: Counts, expected: int) -> None:
    assert starts(LIMITS, now) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(counts(serving=8, keep=8, spare=1), 0, id="nobody is missing"),
        pytest.param(counts(serving=7, keep=8, spare=1), 1, id="a lost worker's place"),
        pytest.param(counts(serving=5, keep=8, spare=2), 2, id="as many as there are"),
        pytest.param(counts(serving=7, keep=8, spare=2, starting=1), 1, id="rather than a start"),
        pytest.param(
            counts(serving=8, busy=8, keep=8, waiting=1, spare=1), 1, id="overflow takes it too"
        ),
    ],
)
def test_a_spare_takes_the_place_of_whoever_is_missing(now: Counts, expected: int) -> None:
    assert promotions(LIMITS, now) == expected


def test_overflow_that_works_is_not_wanted_without_demand() -> None:
    assert wanted(LIMITS, counts(serving=9, busy=9)) == 8
    assert wanted(LIMITS, counts(serving=9, busy=9, waiting=1)) == 10


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(counts(serving=12), True, id="all that may be"),
        pytest.param(counts(serving=11), False, id="one more may serve"),
        pytest.param(counts(serving=7, starting=5), True, id="those under way are there"),
        pytest.param(counts(serving=12, reserve=2), False, id="spares may be started"),
        pytest.param(counts(serving=12, starting=2, reserve=2), True, id="spares start"),
        pytest.param(counts(serving=12, spare=2, reserve=2), True, id="spares stay spares"),
        pytest.param(counts(serving=11, spare=3, reserve=2), False, id="a spare may be promoted"),
        pytest.param(counts(serving=13, spare=2, reserve=2), True, id="more than may be"),
        pytest.param(counts(serving=12, spare=1, reserve=2), False, id="a spare may be started"),
    ],
)
def test_at_the_limit_one_more_who_waits_changes_nothing(now: Counts, expected: bool) -> None:
    assert is_at_limit(LIMITS, now) is expected


MANY = Limits(size=8, overflow=4, start_concurrency=3, concurrency=10)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(Counts(waiting=10), 1, id="one for each ten who wait"),
        pytest.param(Counts(waiting=11), 2, id="a part of ten needs one too"),
        pytest.param(Counts(serving=1, slots=10, busy=10, waiting=1), 2, id="all slots are busy"),
        pytest.param(Counts(serving=1, slots=10, busy=9), 1, id="a slot is free"),
        pytest.param(Counts(serving=3, slots=30, busy=10), 1, id="fewer would do"),
        pytest.param(Counts(serving=1, slots=7, busy=7, waiting=3), 2, id="abandoned ones lack"),
        pytest.param(Counts(serving=8, slots=80, busy=80, waiting=11), 10, id="overflow"),
        pytest.param(Counts(serving=8, slots=80, busy=79, waiting=1), 8, id="no overflow yet"),
        pytest.param(Counts(serving=7, slots=70, busy=70, waiting=99), 8, id="size comes first"),
    ],
)
def test_workers_with_many_slots(now: Counts, expected: int) -> None:
    assert wanted(MANY, now) == expected
