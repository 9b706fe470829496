"""The stress command's figures, and its inputs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from pool.cli.stress.measured import Footprint, Measured, Run, Samples, Toll, in_short
from pool.cli.stress.operations import read_inputs
from pool.cli.stress.report import as_csv, as_json, as_text, figures, milliseconds
from tests.unit.runs import adding_up

KEYS = {
    "offered",
    "operations",
    "successful",
    "failed",
    "errors",
    "shed",
    "success_rate",
    "throughput_per_s",
    "wall_s",
    "latency_ms",
    "refusal_ms",
    "queue_wait_ms",
    "worker_starts",
    "worker_exits",
    "first_result_s",
    "available",
    "faults",
    "kills",
    "size_regained",
    "regain_ms",
    "rss_mb",
    "descriptors",
    "tasks",
    "conserved",
    "differences",
}


def some_run() -> Run:
    measured = Measured(
        offered=10,
        successful=7,
        shed=1,
        errors=Counter(BrokenWorkerError=2),
        calls=Counter(ok=7, BrokenWorkerError=2),
        latencies=Samples(i / 1000 for i in range(1, 8)),
        refusals=Samples([0.25]),
        first_result=0.5,
        offering=1.0,
        wall=2.0,
    )
    toll = Toll(Counter(kill=2, slow=1), Counter(kill=2), regains=Samples([0.004]))
    return adding_up(measured, toll)


def report() -> dict[str, Any]:
    return figures(some_run())


def test_the_totals_add_up_and_the_keys_are_stable() -> None:
    made = json.loads(as_json(report()))
    assert set(made) >= KEYS
    assert made["successful"] + made["failed"] + made["shed"] == made["operations"]
    assert (made["success_rate"], made["throughput_per_s"]) == (0.7, 3.5)
    assert (made["worker_exits"], made["errors"]) == (2, {"BrokenWorkerError": 2})
    assert made["latency_ms"]["p50"] == 4.0
    assert made["refusal_ms"]["max"] == 250.0
    assert made["queue_wait_ms"]["p50"] is None
    assert (made["faults"], made["kills"], made["size_regained"]) == ({"kill": 2, "slow": 1}, 2, 1)
    assert (made["conserved"], made["differences"]) == (True, [])


def test_csv_is_one_line_of_names_and_one_of_values() -> None:
    (row,) = csv.DictReader(as_csv(report()).splitlines())
    assert (row["operations"], row["latency_ms_max"]) == ("10", "7.0")
    assert row["errors"] == "BrokenWorkerError=2"
    assert row["faults"] == "kill=2;slow=1"
    assert (row["tasks_start"], row["tasks_end"]) == ("1", "1")


def test_the_text_says_what_failed() -> None:
    text = as_text(report())
    assert "10: 7 successful, 2 failed, 1 shed (70.0%)" in text
    assert "2 BrokenWorkerError" in text
    assert "2 kill, 1 slow; ended of it: 2 kill" in text
    assert "conserved     yes" in text


def test_the_text_says_what_the_first_of_each_error_said() -> None:
    run = some_run()
    run.measured.causes["BrokenWorkerError"] = "killed"
    assert "\n              killed\nthroughput" in as_text(figures(run))
    run.measured.errors["CallTimeout"] += 3
    run.measured.causes["CallTimeout"] = "late"
    told = "\n              CallTimeout: late\n              BrokenWorkerError: killed\n"
    assert told in as_text(figures(run))
    assert "BrokenWorkerError=killed;CallTimeout=late" in as_csv(figures(run))


def test_the_signal_that_ended_the_load_is_told() -> None:
    assert json.loads(as_json(report()))["ended_by"] is None
    ended = figures(replace(some_run(), ended_by=Signals.SIGTERM))
    assert ended["ended_by"] == "SIGTERM"
    assert "ended by      SIGTERM, before the load was done" in as_text(ended)


def test_of_what_an_error_says_the_first_line_is_kept() -> None:
    assert in_short("it fell\nTraceback") == "it fell"
    assert in_short("a\x1b[2Jb" + "c" * 1000) == "a?[2Jb" + "c" * 294


def test_the_text_leaves_out_what_was_not_measured() -> None:
    text = as_text(figures(adding_up(Measured(), Toll())))
    assert not {"refusal", "start lag", "queue wait", "faults", "kills"} & {
        line[:12].strip() for line in text.splitlines()
    }


def test_what_is_unaccounted_for_is_named_in_every_format() -> None:
    leaky = replace(some_run(), after=Footprint(rss_mb=50.0, descriptors=13, tasks=1))
    made = figures(leaky)
    said = "9 descriptors before the pool was opened, 13 after it was closed"
    assert (made["conserved"], made["differences"]) == (False, [said])
    assert f"conserved     {said}" in as_text(made)
    assert said in as_csv(made)


def test_percentiles_of_a_single_value() -> None:
    assert set(milliseconds(Samples([0.5])).values()) == {500.0}


def test_inputs_are_one_object_per_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"q": 1}\n\n{"q": 2}\n')
    assert read_inputs(path) == [{"q": 1}, {"q": 2}]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "line 1"), ('{"a":1}\n[1]', "line 2"), ("\n", "no inputs")]
)
def test_bad_inputs_name_their_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_inputs(path)


def test_bad_inputs_are_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('["api_key", "sk-1234567890"]')
    with pytest.raises(ValueError, match="not a list") as caught:
        read_inputs(path)
    assert "sk-" not in str(caught.value)


def test_the_shipped_questions_are_a_hundred_at_least() -> None:
    questions = read_inputs(Path(__file__).parents[2] / "examples/questions.jsonl")
    assert len({question["question"] for question in questions}) >= 100
