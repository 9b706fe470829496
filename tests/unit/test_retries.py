"""Which lost calls are made again."""

from __future__ import annotations

from random import Random

import pytest

from pool.errors import BrokenWorkerError, ProtocolError
from pool.retries import RetryRule, pause, poisoned


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


def test_garbage_was_an_answer_so_the_request_was_sent() -> None:
    error = ProtocolError("garbage", worker="w")
    assert not RetryRule(False, attempts=3).allows(error, 1)
    assert RetryRule(True, attempts=3).allows(error, 1)


class Longest(Random):
    """Draws the upper end of every range."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_pauses_double_up_to_a_second() -> None:
    pauses = [pause(count, Longest()) for count in range(1, 10)]
    assert pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


def test_pauses_are_jittered_by_half() -> None:
    pauses = [pause(20, Random(seed)) for seed in range(50)]
    assert 0.5 <= min(pauses) < 0.55 < 0.95 < max(pauses) <= 1.0


def test_a_call_that_has_cost_several_workers_says_so() -> None:
    error = poisoned(lost(request_sent=True), "work", 2)
    assert "'work' has cost 2 workers" in error.__notes__[0]
    assert not hasattr(poisoned(lost(request_sent=True), "work", 1), "__notes__")
