"""What exceeds its threshold, how badly, and that what is well has no finding."""

from __future__ import annotations

import re
from math import inf

import pytest

from pool.exchange.codec import Times
from pool.profile import Finding, Report, Thresholds, judge
from pool.profile.findings import ADVICE, find
from pool.profile.thresholds import severity
from pool.telemetry.events import CallFinished, WorkerStarted
from pool.usage import Usage
from tests.unit.profiles import MB, book, call, report, report_of, sample, start, stats


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        *((0.0, None), (1.0, None), (1.01, "low"), (1.49, "low")),
        *((1.5, "medium"), (1.99, "medium"), (2.0, "high"), (3.0, "high"), (3.01, "critical")),
        (float("inf"), "critical"),
    ],
)
def test_severity(ratio: float, word: str | None) -> None:
    assert severity(ratio) == word


def only(found: Report, thresholds: Thresholds | None = None) -> Finding:
    findings = find(found, thresholds or Thresholds())
    assert len(findings) == 1, findings
    return findings[0]


def ten_commands(slow: float) -> list[CallFinished]:
    quick = [call(f"command {place}", seconds=0.01) for place in range(9) for _ in range(20)]
    return quick + [call("slow", seconds=slow)] * 20


def test_a_bridge_that_is_well_has_no_finding() -> None:
    told = book()
    told.hear([start(ready=0.4), *ten_commands(0.012)])
    told.hear([call("slow", seconds=0.01, waited=0.01)] * 50)
    for at in range(40):
        sample(told, float(at), 50 * MB, calls=at)
    assert report(told).findings == ()


@pytest.mark.parametrize(
    ("took", "word"), [(0.06, "low"), (0.09, "medium"), (0.13, "high"), (0.2, "critical")]
)
def test_a_command_that_is_slow_among_ten(took: float, word: str) -> None:
    found = only(report_of(*ten_commands(took)))
    assert (found.kind, found.subject, found.severity) == ("slow", "slow", word)
    assert found.threshold == pytest.approx(0.05, rel=0.02)
    assert found.advice == ADVICE["slow"]


def test_a_command_is_slow_by_a_threshold_of_ones_own() -> None:
    thresholds = Thresholds(slow=0.1)
    found = only(report_of(*[call(seconds=0.25)] * 20), thresholds)
    assert (found.kind, found.severity, found.threshold) == ("slow", "high", 0.1)
    assert not find(report_of(*ten_commands(0.09)), thresholds)


def five_commands(slow: float, count: int = 5) -> list[CallFinished]:
    usual = [0.01, 0.01, 0.02, 0.02][: count - 1]
    quick = [call(f"command {place}", seconds) for place, seconds in enumerate(usual)]
    return [*quick, call("slow", slow)] * 20


def test_a_command_is_compared_with_the_others_where_there_are_five() -> None:
    found = only(report_of(*five_commands(0.09)))
    assert (found.subject, found.measured) == ("slow", 0.09)
    assert found.threshold == pytest.approx(5 * 0.015, rel=0.02)
    assert not find(report_of(*five_commands(0.09, count=4)), Thresholds())


def test_where_others_are_slow_too_a_command_may_take_a_second() -> None:
    calls = [call(f"command {place}", seconds=0.5) for place in range(9)] * 20
    assert not find(report_of(*calls, *[call("slow", seconds=0.9)] * 20), Thresholds())
    found = only(report_of(*calls, *[call("slow", seconds=1.5)] * 20))
    assert (found.subject, found.threshold) == ("slow", 1.0)


def test_few_commands_are_not_compared_with_one_another() -> None:
    calls = [call("quick", seconds=0.001)] * 20 + [call("long", seconds=0.9)] * 20
    assert not find(report_of(*calls), Thresholds())
    found = only(report_of(*[call(seconds=1.2)] * 20))
    assert (found.kind, found.severity) == ("slow", "low")


def test_commands_that_are_all_quick_are_not_slow_for_being_slower() -> None:
    quick = [call(f"command {place}", seconds=0.0001) for place in range(9) for _ in range(20)]
    assert not find(report_of(*quick, *[call("slow", seconds=0.02)] * 20), Thresholds())


def test_one_call_in_ten_is_slow() -> None:
    calls = ([call(seconds=0.01)] * 9 + [call(seconds=0.11)]) * 20
    found = only(report_of(*calls))
    assert (found.kind, found.subject, found.severity) == ("high variance", "work", "high")
    assert found.measured == pytest.approx(11, rel=0.03)


def test_what_the_event_loop_was_late_is_not_the_bridges() -> None:
    told = book()
    told.hear(([call(seconds=0.01)] * 9 + [call(seconds=0.11)]) * 20)
    assert report(told).findings
    for _ in range(20):
        told.lagged(0.08)
    assert not report(told).findings


def test_one_call_in_a_hundred_is_no_high_variance() -> None:
    assert not find(report_of(*[call()] * 99, call(seconds=0.9)), Thresholds())


def test_jitter_of_calls_that_are_very_quick_is_no_high_variance() -> None:
    calls = ([call(seconds=0.0001)] * 9 + [call(seconds=0.01)]) * 20
    assert not find(report_of(*calls), Thresholds())


def test_calls_that_differ_by_less_than_noise_are_no_high_variance() -> None:
    calls = ([call(seconds=0.009)] * 9 + [call(seconds=0.052)]) * 20
    assert not find(report_of(*calls), Thresholds())
    assert find(report_of(*calls), Thresholds(noise=0.04))


def test_each_command_is_judged_by_itself() -> None:
    steady = [call("steady", seconds=0.5)] * 200
    varies = ([call("varies", seconds=0.01)] * 9 + [call("varies", seconds=0.11)]) * 20
    assert only(report_of(*steady, *varies)).subject == "varies"


def test_a_command_that_was_never_called_is_not_judged() -> None:
    told, times = book(), Times()
    times.encode["work"].append(5.0)
    told.timed(times)
    assert not find(report(told), Thresholds(calls=0))


def test_a_command_that_was_hardly_called_is_not_judged() -> None:
    assert not find(report_of(*[call(seconds=9.0)] * 19), Thresholds())


@pytest.mark.parametrize(
    ("waited", "word"), [(0.12, "low"), (0.16, "medium"), (0.25, "high"), (0.4, "critical")]
)
def test_queueing(waited: float, word: str) -> None:
    told = book()
    told.hear([call(waited=waited)] * 20)
    found = only(report(told))
    assert (found.kind, found.subject, found.severity) == ("queueing", "checkouts", word)


def test_few_waits_are_no_queueing() -> None:
    waited = [call(waited=0.5)] * 19
    assert not find(report_of(*waited, *[call(waited=None)] * 20), Thresholds())
    assert only(report_of(*waited, call(waited=0.5))).kind == "queueing"


def test_waits_of_commands_that_were_hardly_called_are_no_queueing() -> None:
    calls = [call(f"command {place}", waited=0.5) for place in range(10)] * 19
    assert not find(report_of(*calls), Thresholds())


def test_waiting_for_no_longer_than_a_call_takes_is_no_queueing() -> None:
    told = book()
    told.hear([call(seconds=0.9, waited=0.8)] * 20)
    assert report(told).findings == ()


@pytest.mark.parametrize(
    ("ready", "word"), [(1.2, "low"), (1.7, "medium"), (2.5, "high"), (5.0, "critical")]
)
def test_slow_starts(ready: float, word: str) -> None:
    told = book()
    told.hear([start("w-1", 0.1), start("w-2", ready), start("w-3", 9.0)])
    found = only(report(told))
    assert (found.kind, found.subject, found.severity) == ("start", "workers", word)


@pytest.mark.parametrize(
    ("growth", "word"), [(0.25, "low"), (0.37, "medium"), (0.5, "high"), (1.0, "critical")]
)
def test_a_leak(growth: float, word: str) -> None:
    """By so many MB a second for 40 s, 4 MB are allowed in the later half of them."""
    told = book()
    for at in range(40):
        sample(told, float(at), 50 * MB + growth * MB * at, calls=at)
    found = only(report(told))
    assert (found.kind, found.subject, found.severity) == ("leak", "workers", word)


def test_a_leak_is_that_of_the_worker_that_grows_most_beyond_what_it_may() -> None:
    """Not of the large one, which grows by more bytes and may."""
    told, own = book(), Usage(MB, MB, 0.0)
    sizes = {"steady": (50, 0), "slow": (50, 0.25), "leaks": (50, 1.5), "large": (10_000, 8)}
    for at in range(40):
        used = {
            name: Usage(int((base + each * at) * MB), 1, 0.0)
            for name, (base, each) in sizes.items()
        }
        told.sample(float(at), stats(at * 2, used), own, used, 10)
    found = only(report(told))
    assert found.measured / found.threshold == pytest.approx(found.ratio)
    assert found.says == (
        "The memory of 3 of 4 workers grows and does not stop: that of leaks by 1.57 MB a second, "
        "786 kB with each call."
    )
    more = only(report(told), Thresholds(leak=2.0))
    assert (more.ratio, more.threshold) == (found.ratio / 2, found.threshold * 2)


def test_a_leak_without_calls_is_not_said_to_be_of_calls() -> None:
    told = book()
    for at in range(40):
        sample(told, float(at), 50 * MB + MB * at)
    assert only(report(told)).says == (
        "The memory of 1 of 1 workers grows and does not stop: that of w-1 by 1.05 MB a second."
    )


def test_a_finding_says_what_was_measured() -> None:
    slow = report_of(*[call(seconds=2.0)] * 20)
    said = only(slow).says
    assert said == "One call of work in twenty takes 2 s or more, more than 1 s."
    said = only(slow, Thresholds(slow=1.5)).says
    assert said == "One call of work in twenty takes 2 s or more, where 1.5 s is allowed."
    said = only(report_of(*ten_commands(0.2))).says
    usual = "where 10 ms is usual for the other commands."
    assert said == f"One call of slow in twenty takes 200 ms or more, {usual}"
    said = only(report_of(*[call(seconds=0.01, waited=0.5)] * 20)).says
    waits = "One checkout in twenty waits 500 ms or more for a worker"
    assert said == f"{waits}; a call takes 10 ms in the median."
    said = only(report_of(*([call(seconds=0.01)] * 9 + [call(seconds=0.2)]) * 20)).says
    half = r"Half of the calls of work take less than 10(\.\d)? ms"
    assert re.fullmatch(rf"{half}, but one in twenty \d+ ms or more, [\d.]+x as long\.", said)


@pytest.mark.parametrize(
    ("start_up", "said"), [(0.01, ""), (0.5, ", 500 ms of it in its start-up functions")]
)
def test_a_slow_start_says_what_the_start_up_functions_took(start_up: float, said: str) -> None:
    told = book()
    told.hear([WorkerStarted("p", 1.0, "w-1", 1, 0, 1, 0.1, 0.2, start_up, 1.5)])
    found = only(report(told))
    assert found.says == f"A worker takes 1.5 s to start in the median of 1{said}."


def test_where_nothing_is_allowed_anything_is_too_much() -> None:
    told = book()
    told.hear([start(ready=0.0)])
    assert not find(report(told), Thresholds(start=0.0))
    told.hear([start(ready=0.25)] * 2)
    found = only(report(told), Thresholds(start=0.0))
    assert (found.severity, found.ratio) == ("critical", inf)


def test_the_worst_finding_is_the_first() -> None:
    told = book()
    told.hear([start(ready=1.2), *[call(seconds=8.0)] * 20])
    assert [found.kind for found in report(told).findings] == ["slow", "start"]


def test_a_report_is_judged_again_by_other_thresholds() -> None:
    found = report_of(*[call(seconds=0.5)] * 20)
    stricter = judge(found, Thresholds(slow=0.1))
    assert [finding.kind for finding in stricter.findings] == ["slow"]
    assert stricter.thresholds == Thresholds(slow=0.1)
    assert judge(stricter, found.thresholds) == found
