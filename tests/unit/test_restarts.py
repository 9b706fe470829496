"""Back-off and crash loop, tested with plain floats for time."""

from __future__ import annotations

from random import Random

from pool.errors import WorkerStartError
from pool.restarts import COOL_DOWN, MAX_DELAY, RestartPolicy


def cause(text: str = "boom") -> WorkerStartError:
    return WorkerStartError(text, worker="w", stderr_tail="on stderr")


def policy(max_restarts: int = 5, window: float = 60.0) -> RestartPolicy:
    return RestartPolicy(max_restarts, window, Random(1))


def test_without_failures_nothing_is_delayed() -> None:
    assert (policy().not_before, policy().at_most) == (0.0, None)


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


def test_after_a_failure_one_start_at_a_time() -> None:
    restarts = policy()
    restarts.failed(0.0, cause())
    assert restarts.at_most == 1


def test_a_success_ends_the_back_off() -> None:
    restarts = policy()
    restarts.failed(0.0, cause())
    restarts.succeeded()
    assert restarts.not_before == 0.0
    assert restarts.last_cause is None


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


def test_the_refusal_names_the_first_cause_and_its_stderr() -> None:
    restarts = policy(max_restarts=0)
    first = cause("the first cause")
    restarts.failed(0.0, first)
    restarts.failed(1.0, cause("a later one"))
    refusal = restarts.refusal("p", 1.0)
    assert "the first cause" in str(refusal)
    assert refusal.stderr_tail == "on stderr"
    assert refusal.__cause__ is first
