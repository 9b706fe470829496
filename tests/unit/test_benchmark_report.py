"""From the answers of samples to the rows of a table."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks import bench_echo, bench_kills, bench_offered, bench_payload, bench_throughput
from benchmarks.pools import LIMIT, MAKERS, OURS
from benchmarks.replacements import Replacements
from benchmarks.report import Answered, Column, compare, remarks
from benchmarks.running import Sample, by_contender

HUNG = {"failed": "hung, killed after 30 s"}
MODULES = [bench_echo, bench_kills, bench_offered, bench_payload, bench_throughput]


def test_a_row_has_medians_ranges_and_ratios() -> None:
    answers = {
        "ours": [{"us": 30.0}, {"us": 20.0}, {"us": 40.0}],
        "limit": [{"us": 10.0}],
    }
    table = compare("Echo", answers, [Column("µs", "us"), Column("/ limit", "us", over="limit")])
    assert table.markdown().splitlines() == [
        "### Echo",
        "",
        "|  | µs | / limit |  |",
        "| --- | --- | --- | --- |",
        "| ours | 30 (20 to 40) | 3.00 x |  |",
        "| limit | 10.00 | 1.00 x |  |",
    ]


def test_who_failed_has_no_figures_but_a_remark() -> None:
    columns = [Column("µs", "us"), Column("/ limit", "us", over="limit")]
    answers: Answered = {
        "peer": [HUNG, HUNG],
        "flaky": [HUNG, {"us": 3.0}],
        "limit": [{"failed": "a|b"}],
    }
    assert compare("", answers, columns).rows == [
        ["peer", "", "", "hung, killed after 30 s (2 of 2)"],
        ["flaky", "3.00", "", "hung, killed after 30 s (1 of 2)"],
        ["limit", "", "", "a\\|b (1 of 1)"],
    ]


def test_a_contender_that_does_not_close_is_told_apart() -> None:
    samples: list[dict[str, Any]] = [
        {"us": 1.0, "unclosed": True},
        {"us": 1.0},
        {**HUNG, "unclosed": True},
    ]
    expected = "hung, killed after 30 s (1 of 3); could not be closed (1 of 3)"
    assert remarks(samples) == expected


def test_answers_are_found_by_their_settings() -> None:
    one = Sample("echo", "a", (("regime", "one"), ("seconds", 1)))
    two = Sample("echo", "a", (("regime", "two"), ("seconds", 1)))
    taken = {one: [{"us": 1}], two: [{"us": 2}]}
    assert by_contender(taken, {"regime": "two"}) == {"a": [{"us": 2}]}


def test_kills_tell_losses_hangs_and_a_dead_pool() -> None:
    lively = {"kills": 2, "calls_per_s": 9.0, "errors": {"Lost": 2}, "hung": 0, "alive": True}
    lively |= {"lost_per_kill": 1.0, "replaced_ms": 5.0}
    hanging = lively | {"errors": {}, "hung": 2}
    dead = {"kills": 1, "calls_per_s": 0.0, "errors": {"Broken": 70}, "hung": 3, "alive": False}
    answers = {"good": [lively], "mute": [hanging], "weak": [dead, lively], "gone": [dead]}
    taken = {Sample("bench_kills", who): found for who, found in answers.items()}
    (table,) = bench_kills.report({**taken, Sample("bench_kills", "stuck"): [HUNG]}).tables
    assert table.rows == [
        ["good", "2", "1.00", "Lost", "5.00", "9.00", ""],
        ["mute", "2", "1.00", "nothing: 2 calls hang", "5.00", "9.00", ""],
        [
            "weak",
            "3",
            "all: the pool is dead (1 of 2) 1.00",
            "Broken, Lost, nothing: 3 calls hang",
            "5.00",
            "4.50 (0.00 to 9.00)",
            "",
        ],
        [
            "gone",
            "1",
            "all: the pool is dead (1 of 1)",
            "Broken, nothing: 3 calls hang",
            "never",
            "0.00",
            "",
        ],
        ["stuck", "", "", "", "", "", "hung, killed after 30 s (1 of 1)"],
    ]


def test_a_replacement_is_the_first_new_worker_to_take_a_call_after_the_kill() -> None:
    seen = Replacements()
    assert not seen.served(1, 0.0)
    seen.killed(1.0)
    assert not seen.served(1, 1.001)
    assert not seen.served(2, 0.999), "begun before the kill"
    assert seen.served(3, 1.005)
    assert not seen.served(4, 1.006), "the pool may start others too"
    assert [round(gap, 3) for gap in seen.gaps_ms] == [5.0]


def test_every_planned_contender_exists_and_ratios_have_their_base() -> None:
    for module in MODULES:
        planned = {sample.contender for sample in module.plan(quick=True)}
        assert planned <= MAKERS.keys()
        assert OURS in planned
        assert LIMIT in planned or module is bench_kills


def test_the_small_object_has_200_bytes() -> None:
    assert len(msgspec.json.encode(bench_echo.OBJECT)) == 200
