"""Which lost calls are made again."""

from __future__ import annotations

from random import Random

import pytest

from pool.errors import BrokenWorkerError
from pool.retries import MAX_PAUSE, RetryRule, pause, poisoned


def lost(*, request_sent: bool) -> BrokenWorkerError:
    return BrokenWorkerError("gone", request_sent=request_sent, worker="w")


@pytest.mark.parametrize(
    ("sent", "idempotent", "count", "again"),
    [
        (True, False, 1, False),
        (True, True, 1, True),
        (True, True, 2, True),
        (True, True, 3, False),
        (False, False, 1, True),
        (False, False, 3, False),
    ],
)
def test_a_rule_allows(sent: bool, idempotent: bool, count: int, again: bool) -> None:
    error = lost(request_sent=sent)
    assert RetryRule(idempotent, attempts=3).allows(error, count) is again


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [pause(count, Random(1)) for count in range(1, 20)]
    assert pauses == sorted(pauses)
    assert MAX_PAUSE / 2 <= pauses[-1] <= MAX_PAUSE


def test_a_call_that_has_cost_several_workers_says_so() -> None:
    error = poisoned(lost(request_sent=True), "work", 3)
    assert "'work' has cost 3 workers" in error.__notes__[0]
