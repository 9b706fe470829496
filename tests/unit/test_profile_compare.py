"""What has changed between two profiles, and which of it is worse."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from pool.profile import Report, Thresholds, compare, judge
from pool.profile.compare import Change, Comparison
from tests.unit.profiles import MB, book, call, report, report_of, sample, start


def better(before: float, after: float, unit: str = "s") -> bool | None:
    return Change("work", "call P50", unit, before, after).better


@pytest.mark.parametrize(
    ("unit", "before", "after", "is_better"),
    [
        *(("s", 10.0, 11.0, None), ("s", 10.0, 11.1, False), ("s", 10.0, 8.9, True)),
        *(("s", 1e-5, 2.9e-5, None), ("s", 1e-5, 3.1e-5, False), ("s", 3.1e-5, 1e-5, True)),
        *(("B", 100, 110, None), ("B", 100, 111, False), ("B", 100, 89, True)),
        *(("B", 1e-5, 1.5e-5, False), ("B", 0, 0, None)),
        *(("share", 0.5, 0.50009, None), ("share", 0.5, 0.5002, True), ("share", 0.5, 0.49, False)),
    ],
)
def test_what_is_noise_is_neither_better_nor_worse(
    unit: str, before: float, after: float, is_better: bool | None
) -> None:
    assert better(before, after, unit) is is_better


@pytest.mark.parametrize(
    ("unit", "before", "after", "shown"),
    [
        ("s", 0.1, 0.25, "100 ms to 250 ms (+150%)"),
        ("s", 0.2, 0.1, "200 ms to 100 ms (-50%)"),
        ("s", 0.0, 0.1, "0 µs to 100 ms"),
        ("B", 1e6, 3e6, "1 MB to 3 MB (+200%)"),
        ("share", 1.0, 0.5, "100% to 50.0%"),
    ],
)
def test_a_change_in_words(unit: str, before: float, after: float, shown: str) -> None:
    assert str(Change("work", "call P50", unit, before, after)) == shown


def comparison(*changes: Change, findings_new: tuple[str, ...] = ()) -> Comparison:
    return Comparison(changes, (), (), ("slow of work",), findings_new)


@pytest.mark.parametrize("measure", ["call P50", "call P95"])
def test_a_profile_is_worse_by_what_its_calls_took(measure: str) -> None:
    assert comparison(Change("work", measure, "s", 0.1, 0.2)).is_worse
    assert not comparison(Change("work", measure, "s", 0.2, 0.1)).is_worse
    assert not comparison(Change("work", measure, "s", 0.1, 0.1)).is_worse


def test_a_profile_is_worse_by_calls_that_fail() -> None:
    assert comparison(Change("work", "success", "share", 1.0, 0.9)).is_worse


@pytest.mark.parametrize("measure", ["call P99", "transport P95", "start", "peak memory"])
def test_a_profile_is_not_worse_by_what_varies_from_run_to_run(measure: str) -> None:
    assert not comparison(Change("work", measure, "s", 0.1, 0.9)).is_worse


def test_a_profile_is_worse_by_a_new_finding() -> None:
    assert comparison(findings_new=("start of workers",)).is_worse
    assert not comparison().is_worse


def test_a_command_that_is_slower_makes_a_profile_worse_without_a_finding() -> None:
    found = compare(report_of(*[call(seconds=0.1)] * 20), report_of(*[call(seconds=0.2)] * 20))
    assert not found.findings_new
    assert found.is_worse


def lived() -> Report:
    """A profile of a pool with something of all that is compared."""
    told = book()
    told.hear([start("w-1", 0.5), start("w-2", 0.7), start("w-3", 9.0)])
    told.hear([call(waited=0.1, compute=0.004)] * 20)
    for at in range(3):
        sample(told, float(at), 50 * MB + at * MB)
    return report(told)


def test_all_that_is_measured_of_both_is_compared() -> None:
    found = compare(lived(), lived())
    assert [(change.subject, change.measure, change.unit) for change in found.changes] == [
        ("work", "success", "share"),
        ("work", "queue wait P95", "s"),
        ("work", "transport P95", "s"),
        ("work", "compute P95", "s"),
        *(("work", f"call P{n}", "s") for n in (50, 95, 99)),
        ("workers", "start", "s"),
        ("workers", "peak memory", "B"),
    ]
    assert [change.before for change in found.changes[-2:]] == [0.7, 52 * MB]


def test_each_measure_is_that_of_its_profile() -> None:
    told = book()
    told.hear([start("w-1", 0.2), *[call(seconds=0.3, waited=0.2, compute=0.1)] * 20])
    sample(told, 1.0, 20 * MB)
    found = compare(lived(), report(told))
    after = {change.measure: change.after for change in found.changes}
    before = {change.measure: change.before for change in found.changes}
    assert after == {
        "success": 1.0,
        "queue wait P95": pytest.approx(0.2, rel=0.02),
        "transport P95": pytest.approx(0.2, rel=0.02),
        "compute P95": pytest.approx(0.1, rel=0.02),
        **{f"call P{n}": pytest.approx(0.3, rel=0.02) for n in (50, 95, 99)},
        "start": 0.2,
        "peak memory": 20 * MB,
    }
    assert before["call P95"] == pytest.approx(0.01, rel=0.02)
    assert before["compute P95"] == pytest.approx(0.004, rel=0.02)


@pytest.mark.parametrize("which", [lambda a, b: (a, b), lambda a, b: (b, a)])
def test_what_only_one_of_them_measured_is_not_compared(
    which: Callable[[Report, Report], tuple[Report, Report]],
) -> None:
    bare = report_of(*[call(waited=None)] * 20)
    found = compare(*which(bare, lived()))
    measures = [change.measure for change in found.changes]
    assert measures == ["success", "call P50", "call P95", "call P99"]


def test_percentiles_are_told_apart() -> None:
    quick, slow = [call(seconds=0.01)] * 90, [call(seconds=0.1)] * 8
    old = report_of(*quick, *slow, *[call(seconds=1.0)] * 2)
    took = {change.measure: change.before for change in compare(old, old).changes}
    found = [took[f"call P{n}"] for n in (50, 95, 99)]
    assert found == pytest.approx([0.01, 0.1, 1.0], rel=0.02)


def test_commands_and_findings_that_came_and_went() -> None:
    slow = Thresholds(slow=0.1)
    old = judge(report_of(*[call(n, seconds=0.5) for n in "cab" for _ in range(20)]), slow)
    new = judge(report_of(*[call(n, seconds=0.5) for n in "bfed" for _ in range(20)]), slow)
    found = compare(old, new)
    assert ({*found.gone}, {*found.new}) == ({"a", "c"}, {"d", "e", "f"})
    assert found.findings_gone == ("slow of a", "slow of c")
    assert found.findings_new == ("slow of d", "slow of e", "slow of f")
    assert {change.subject for change in found.changes} == {"b"}
    same = compare(old, replace(old))
    assert (same.gone, same.new, same.findings_gone, same.findings_new) == ((), (), (), ())


def test_nothing_has_changed() -> None:
    found = compare(lived(), lived())
    assert not found.is_worse
    assert all(change.better is None for change in found.changes)
    assert msgspec.json.encode(found)


def test_fewer_calls_succeed() -> None:
    found = compare(report_of(call(), call()), report_of(call(), call(outcome="error")))
    (worse,) = [change for change in found.changes if change.better is False]
    assert (worse.measure, str(worse)) == ("success", "100% to 50.0%")
