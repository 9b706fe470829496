"""Whether a profile keeps what was agreed."""

from __future__ import annotations

import pytest

from pool.exchange.codec import Times
from pool.profile import Report, Verdict
from tests.unit.profiles import book, call, report, report_of


def agreed() -> Report:
    return report_of(
        *[call("good", seconds=0.01, waited=0.2)] * 99,
        call("good", outcome="error"),
        *[call("late", seconds=0.5)] * 20,
    )


@pytest.mark.parametrize(
    ("terms", "violated"),
    [
        ({"p99": 1.0, "success": 0.99, "queue_wait": 0.3, "mean": 1.0, "max": 1.0}, []),
        ({"p99": 0.1}, [("late", "p99")]),
        ({"success": 0.995}, [("good", "success")]),
        ({"p50": 0.001, "p90": 0.1}, [("good", "p50"), ("late", "p50"), ("late", "p90")]),
        ({"p95": 0.1}, [("late", "p95")]),
        ({"queue_wait": 0.1}, [("good", "queue_wait")]),
        ({"max": 0.5, "success": 0.99}, []),
        ({"success": 0.995, "max": 0.1}, [("good", "success"), ("late", "max")]),
    ],
)
def test_terms(terms: dict[str, float], violated: list[tuple[str, str]]) -> None:
    verdict = agreed().check(None, **terms)
    assert sorted((v.command, v.term) for v in verdict.violations) == sorted(violated)
    assert bool(verdict) is (violated == [])


def test_terms_for_one_command() -> None:
    assert agreed().check("good", p99=0.1) == Verdict(())
    with pytest.raises(KeyError):
        agreed().check("no such", p99=0.1)


def test_each_term_that_is_not_kept_is_told() -> None:
    verdict = agreed().check("good", success=0.995, mean=0.001, p50=0.001)
    assert [violation.term for violation in verdict.violations] == ["success", "mean", "p50"]


def test_what_was_not_measured_violates_nothing() -> None:
    told, times = book(), Times()
    times.encode["never called"].append(5.0)
    told.timed(times)
    told.hear([call("on a lease", waited=None)])
    found = report(told)
    assert {command.name for command in found.commands} == {"never called", "on a lease"}
    assert found.check(queue_wait=0.0, max=0.01)


def test_terms_that_nobody_knows() -> None:
    told = "p97, p98: the terms are success, mean, max, p50, p90, p95, p99, queue_wait"
    with pytest.raises(TypeError, match=told):
        agreed().check(p98=0.1, p97=0.1, p99=0.1)


def test_a_violation_says_what_was_agreed() -> None:
    (violation,) = agreed().check(success=0.995).violations
    assert str(violation) == "good: success 99.0000%, at least 99.5000% agreed"
    (violation,) = agreed().check(p99=0.1).violations
    assert str(violation).startswith("late: p99 0.")
    assert str(violation).endswith(" s, 0.1 s agreed")
