"""The stress command's figures, and its inputs."""

from __future__ import annotations

import csv
import json
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pool.cli.load import Measured
from pool.cli.operations import read_inputs
from pool.cli.report import as_csv, as_json, as_text, figures, milliseconds
from pool.lifecycle import PoolState
from pool.stats import PoolStats

KEYS = {
    "operations",
    "successful",
    "failed",
    "errors",
    "shed",
    "success_rate",
    "throughput_per_s",
    "wall_s",
    "latency_ms",
    "queue_wait_ms",
    "worker_starts",
    "worker_exits",
    "first_result_s",
}


def stats() -> PoolStats:
    counts = dict.fromkeys(PoolStats.__dataclass_fields__, 0)
    mappings: dict[str, Any] = {"checkouts": {}, "calls": {}, "validations": {}, "pings": {}}
    known: dict[str, Any] = {
        **counts,
        **mappings,
        "name": "p",
        "state": PoolState.OPEN,
        "workers": (),
        "worker_exits": {"signal": 2, "idle": 1},
    }
    return PoolStats(**known)


def report() -> dict[str, Any]:
    measured = Measured(
        operations=10,
        successful=7,
        shed=1,
        errors=Counter(BrokenWorkerError=2),
        latencies=array("d", [i / 1000 for i in range(1, 8)]),
        first_result=0.5,
        wall=2.0,
    )
    return figures(measured, stats())


def test_the_totals_add_up_and_the_keys_are_stable() -> None:
    made = json.loads(as_json(report()))
    assert set(made) >= KEYS
    assert made["successful"] + made["failed"] + made["shed"] == made["operations"]
    assert (made["success_rate"], made["throughput_per_s"]) == (0.7, 3.5)
    assert (made["worker_exits"], made["errors"]) == (3, {"BrokenWorkerError": 2})
    assert made["latency_ms"]["p50"] == 4.0
    assert made["queue_wait_ms"]["p50"] is None


def test_csv_is_one_line_of_names_and_one_of_values() -> None:
    (row,) = csv.DictReader(as_csv(report()).splitlines())
    assert (row["operations"], row["latency_ms_max"]) == ("10", "7.0")
    assert row["errors"] == "BrokenWorkerError=2"


def test_the_text_says_what_failed() -> None:
    text = as_text(report())
    assert "10: 7 successful, 2 failed, 1 shed (70.0%)" in text
    assert "2 BrokenWorkerError" in text


def test_percentiles_of_a_single_value() -> None:
    assert set(milliseconds([0.5]).values()) == {500.0}


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


def test_the_shipped_questions_are_a_hundred_at_least() -> None:
    questions = read_inputs(Path(__file__).parents[2] / "examples/questions.jsonl")
    assert len({question["question"] for question in questions}) >= 100
