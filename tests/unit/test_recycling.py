"""When a worker that is well is replaced all the same."""

from __future__ import annotations

from random import Random

import pytest

from pool.ledger.recycling import Term


class Always(Random):
    """Draws one end of every range."""

    def __init__(self, *, highest: bool) -> None:
        super().__init__(0)
        self._highest = highest

    def uniform(self, a: float, b: float) -> float:
        return b if self._highest else a


TERM = Term(calls=100, age=50.0, memory=1000)


@pytest.mark.parametrize(
    ("calls", "age", "memory", "reason"),
    [
        (99, 49.9, 1000, ""),
        (100, 49.9, 1000, "recycled_calls"),
        (99, 50.0, 1000, "recycled_age"),
        (99, 49.9, 1001, "recycled_memory"),
        (100, 50.0, 1001, "recycled_calls"),
        (99, 50.0, 1001, "recycled_age"),
    ],
)
def test_who_reaches_a_limit_is_due(calls: int, age: float, memory: int, reason: str) -> None:
    assert TERM.reason(calls, age, memory) == reason


def test_without_limits_nobody_is_due() -> None:
    assert Term().reason(10**9, 1e9, 2**60) == ""
    assert Term().jittered(Random(0)) == Term()


def test_jitter_makes_limits_earlier_by_a_tenth_at_most() -> None:
    assert TERM.jittered(Always(highest=False)) == Term(90, 45.0, 900)
    assert TERM.jittered(Always(highest=True)) == TERM


def test_one_call_is_the_least() -> None:
    assert Term(calls=1).jittered(Always(highest=False)) == Term(calls=1)


def test_workers_that_started_together_do_not_go_together() -> None:
    random = Random(0)
    assert len({TERM.jittered(random).age for _ in range(10)}) == 10
