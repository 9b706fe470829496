"""Back-off and crash loop, tested with plain floats for time."""

from __future__ import annotations

from random import Random

import pytest

from pool.errors import WorkerStartError
from pool.restarts import COOL_DOWN, EARLY_LOSS, MAX_DELAY, RestartPolicy


def cause(text: str = "boom") -> WorkerStartError:
    return WorkerStartError(text, worker="w", pid=7, returncode=3, stderr_tail="on stderr")


class Longest(Random):
    """Draws the upper end of every range."""

    def uniform(self, a: float, b: float) -> float:
        return b


def policy(max_restarts: int = 5, window: float = 60.0) -> RestartPolicy:
    return RestartPolicy(max_restarts, window, Random(1))


def test_the_constants_are_those_of_the_documentation() -> None:
    assert (EARLY_LOSS, MAX_DELAY, COOL_DOWN) == (1.0, 10.0, 10.0)


def test_without_failures_nothing_is_delayed() -> None:
    fresh = policy()
    assert (fresh.not_before, fresh.at_most, fresh.restarts_in_window(0.0)) == (0.0, None, 0)
    assert (fresh.failed_at, fresh.last_cause) == (None, None)


def test_delays_grow_with_jitter_up_to_a_limit() -> None:
    restarts = policy(max_restarts=1000)
    delays = []
    for _ in range(12):
        restarts.failed(0.0, cause())
        delays.append(restarts.not_before)
    assert 0.05 <= delays[0] <= 0.1
    assert delays == sorted(delays)
    assert MAX_DELAY / 2 <= delays[-1] <= MAX_DELAY
    assert len({round(delay / 2**i, 6) for i, delay in enumerate(delays[:6])}) > 3


def test_delays_double() -> None:
    restarts = RestartPolicy(1000, 60.0, Longest())
    delays = []
    for _ in range(8):
        restarts.failed(0.0, cause())
        delays.append(restarts.not_before)
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0])


def test_a_failure_never_shortens_a_pause() -> None:
    restarts = RestartPolicy(0, 60.0, Longest())
    restarts.failed(5.0, cause())
    restarts.failed(3.0, cause())
    assert restarts.not_before == 5.0 + COOL_DOWN


def test_the_last_failure_is_remembered() -> None:
    restarts, last = policy(), cause()
    restarts.failed(1.0, cause())
    restarts.failed(2.0, last)
    assert (restarts.failed_at, restarts.last_cause) == (2.0, last)


def test_after_a_failure_one_start_at_a_time() -> None:
    restarts = policy()
    restarts.failed(0.0, cause())
    assert restarts.at_most == 1


def test_a_success_forgets_all_failures() -> None:
    restarts = policy(max_restarts=1)
    for now in (0.0, 1.0):
        restarts.failed(now, cause("before"))
    looping = [restarts.in_crash_loop]
    restarts.succeeded()
    looping.append(restarts.in_crash_loop)
    assert (restarts.not_before, restarts.at_most) == (0.0, None)
    assert (restarts.failed_at, restarts.last_cause) == (None, None)
    restarts.failed(2.0, cause("after"))
    assert [*looping, restarts.in_crash_loop] == [True, False, False]
    assert restarts.restarts_in_window(2.0) == 1
    assert 2.05 <= restarts.not_before <= 2.1
    assert "First cause: after" in str(restarts.refusal("p", 2.0))


def test_more_failures_than_allowed_within_the_window_are_a_crash_loop() -> None:
    restarts = policy(max_restarts=2)
    for now in (0.0, 1.0):
        restarts.failed(now, cause())
        assert not restarts.in_crash_loop
    restarts.failed(2.0, cause())
    assert restarts.in_crash_loop
    assert restarts.not_before == 2.0 + COOL_DOWN


def test_failures_far_apart_are_no_crash_loop() -> None:
    restarts = policy(max_restarts=2, window=10.0)
    for now in (0.0, 20.0, 40.0, 60.0):
        restarts.failed(now, cause())
    assert not restarts.in_crash_loop


def test_a_failure_leaves_the_window_after_its_length() -> None:
    restarts = policy(window=10.0)
    restarts.failed(1.0, cause())
    assert [restarts.restarts_in_window(now) for now in (10.9, 11.0, 11.0)] == [1, 0, 0]


def test_the_refusal_names_the_first_cause_and_its_stderr() -> None:
    restarts = policy(max_restarts=0)
    first = cause("the first cause")
    restarts.failed(0.0, first)
    restarts.failed(1.0, cause("a later one"))
    refusal = restarts.refusal("p", 1.0)
    assert "the first cause" in str(refusal)
    assert "the next try is in 10.0 s" in str(refusal)
    assert "in 0.0 s" in str(restarts.refusal("p", 1.0 + COOL_DOWN))
    assert "in 0.0 s" in str(restarts.refusal("p", 50.0))
    facts = (refusal.worker, refusal.pid, refusal.returncode, refusal.stderr_tail)
    assert facts == ("w", 7, 3, "on stderr")
    assert refusal.__cause__ is first
