"""The stress command as people run it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


def stress(*arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "pool", "stress", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def figures(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(stress(*arguments, "--format", "json"))
    assert report["successful"] + report["failed"] + report["shed"] == report["operations"]
    return report


each_method = pytest.mark.parametrize("method", ["forkserver", "spawn"])


@each_method
def test_ten_dspy_operations_at_once_on_a_cold_pool_all_succeed(method: str) -> None:
    report = figures("--operations", "10", "--concurrency", "10", "--start-method", method)
    assert (report["successful"], report["worker_exits"], report["failed_starts"]) == (10, 0, 0)
    assert 1 <= report["worker_starts"] <= 12


@each_method
def test_more_dspy_operations_than_workers_all_succeed(method: str) -> None:
    report = figures(
        *("--operations", "200", "--concurrency", "100", "--min-success", "1"),
        *("--start-method", method),
    )
    assert report["successful"] == 200


def test_ten_thousand_echo_operations_all_succeed() -> None:
    report = figures("--bridge", "bridge.echo", "--operations", "10000", "--concurrency", "500")
    assert (report["successful"], report["worker_exits"]) == (10_000, 0)


@pytest.mark.parametrize(("method", "every"), [("spawn", "0.4"), ("forkserver", "0.05")])
def test_kills_fail_only_the_calls_that_were_on_the_killed_workers(method: str, every: str) -> None:
    report = figures(
        *("--bridge", "bridge.echo", "--duration", "4", "--concurrency", "64"),
        *("--kill-every", every, "--command", "echo", "--start-method", method),
    )
    assert set(report["errors"]) <= {"BrokenWorkerError"}
    assert report["kills"] >= 8
    assert report["failed"] <= report["kills"]
    assert report["size_regained"] == report["kills"]
    # The replacement of the last one killed may serve before that one is reaped.
    assert report["kills"] - 1 <= report["worker_exits"] <= report["kills"]


@pytest.mark.parametrize(("method", "every"), [("spawn", "0.4"), ("forkserver", "0.05")])
def test_with_retries_kills_fail_nothing(method: str, every: str) -> None:
    report = figures(
        *("--bridge", "bridge.echo", "--duration", "3", "--concurrency", "64"),
        *("--kill-every", every, "--retries", "3", "--start-method", method),
    )
    assert (report["failed"], report["success_rate"]) == (0, 1.0)


def test_an_open_loop_keeps_its_rate() -> None:
    report = figures("--bridge", "bridge.echo", "--operations", "200", "--rate", "200")
    assert report["successful"] == 200
    assert report["wall_s"] >= 199 / 200


def test_what_exceeds_the_queue_is_shed_and_below_min_success_the_status_is_1() -> None:
    out = stress(
        *("--bridge", "bridge.echo", "--size", "1", "--overflow", "0", "--max-waiting", "1"),
        *("--operations", "50", "--concurrency", "50", "--min-success", "0.99"),
        *("--format", "json"),
        status=1,
    )
    report = json.loads(out)
    assert report["shed"] == 48
    assert report["successful"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--operations", "0"],
        ["--size", "many"],
        ["--inputs", "/no/such/file"],
        ["--no-such-option"],
        ["--format", "xml"],
    ],
)
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    assert "Error" in stress(*arguments, status=2)


@pytest.mark.parametrize("format_", ["text", "csv"])
def test_other_formats(format_: str) -> None:
    out = stress("--bridge", "bridge.echo", "--operations", "20", "--format", format_)
    assert "20" in out
