"""The stress command as people run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest


def stress(*arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "pool", "stress", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


@contextmanager
def heeding_sigint() -> Iterator[None]:
    """A child started here does not ignore SIGINT, though a job in the background does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def figures(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(stress(*arguments, "--format", "json"))
    assert report["successful"] + report["failed"] + report["shed"] == report["offered"]
    assert report["conserved"], report["differences"]
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
    assert report["kills"] >= 4  # ten, where there is time for them
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


@pytest.mark.parametrize(
    # Seeds that plan each kind three times at least once workers serve, also on a busy machine.
    ("method", "seed", "every", "duration"),
    [("forkserver", "174", "0.1", "3"), ("spawn", "2944", "0.25", "5")],
)
def test_every_kind_of_fault_is_survived_and_accounted_for(
    method: str, seed: str, every: str, duration: str
) -> None:
    kinds = {"kill", "stop", "term", "garbage", "slow"}
    report = figures(
        *("--bridge", "bridge.echo", "--duration", duration, "--concurrency", "32"),
        *("--command", "echo", "--start-method", method, "--timeout", "1", "--retries", "3"),
        *("--late-reply-timeout", "0.5", "--ping-interval", "0.5"),
        *("--chaos", ",".join(kinds), "--chaos-every", every, "--seed", seed),
    )
    assert set(report["faults"]) == kinds
    assert set(report["victims_ended"]) >= {"kill", "term", "garbage"}
    assert set(report["errors"]) <= {"CallTimeout", "PoolTimeout", "ProtocolError"}
    assert report["size_regained"] == report["kills"] == report["faults"]["kill"]
    assert report["retries"] > 0
    assert 0 < report["available"] <= 1
    for held in ("descriptors", "tasks"):
        assert report[held]["start"] == report[held]["end"]


def test_programs_under_chaos_are_accounted_for_too() -> None:
    report = figures(
        *("--duration", "3", "--concurrency", "12", "--timeout", "5", "--retries", "3"),
        *("--chaos", "kill,garbage", "--chaos-every", "0.05"),
    )
    assert set(report["faults"]) == {"kill", "garbage"}
    assert report["queue_wait_ms"]["p50"] is not None


def test_a_count_that_does_not_add_up_is_named_and_the_status_is_1() -> None:
    # An operation that is started and never comes to an end.
    lose_one = """
from pool.cli import main
from pool.cli.stress.load import LoadRun
operate = LoadRun._operate
async def lose_one(self, intended):
    if self.measured.offered != 7:
        await operate(self, intended)
LoadRun._operate = lose_one
main()
"""
    arguments = ["stress", "--bridge", "bridge.echo", "--operations", "20", "--concurrency", "1"]
    done = subprocess.run(
        [sys.executable, "-c", lose_one, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 1
    assert "conserved     20 operations were offered, 19 have an outcome" in done.stdout


def test_an_open_loop_keeps_its_rate() -> None:
    report = figures("--bridge", "bridge.echo", "--operations", "200", "--rate", "200")
    assert report["successful"] == 200
    assert report["wall_s"] >= 199 / 200


def test_an_open_loop_goes_on_when_most_of_it_is_refused(tmp_path: Path) -> None:
    inputs = tmp_path / "in.jsonl"
    inputs.write_text('{"seconds": 0.02}')
    report = figures(
        *("--bridge", "bridge.echo", "--command", "asleep", "--inputs", str(inputs)),
        *("--size", "2", "--overflow", "0", "--max-waiting", "20"),
        *("--operations", "2000", "--rate", "1000", "--timeout", "1"),
    )
    assert report["offered"] == 2000
    assert report["shed"] > 1000 > report["successful"] > 0
    assert report["refusal_ms"]["p50"] < report["latency_ms"]["p50"]
    assert report["start_lag_ms"]["p50"] < report["latency_ms"]["p50"]
    assert report["queue_wait_ms"]["p50"] is None


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


def test_callers_that_are_refused_at_once_leave_the_others_their_turn() -> None:
    report = figures(
        *("--bridge", "bridge.echo", "--command", "echo", "--duration", "3"),
        *("--size", "1", "--overflow", "0", "--max-waiting", "1", "--concurrency", "20"),
    )
    assert report["shed"] > report["successful"] > 15


@pytest.mark.parametrize(
    "arguments",
    [
        ["--operations", "0"],
        ["--size", "many"],
        ["--inputs", "/no/such/file"],
        ["--no-such-option"],
        ["--format", "xml"],
        ["--chaos", "kill,earthquake"],
        ["--chaos-every", "0"],
    ],
)
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    assert "Error" in stress(*arguments, status=2)


def test_an_unknown_fault_is_told_the_known_ones() -> None:
    said = stress("--chaos", "kill,earthquake", status=2)
    assert "earthquake: the kinds are kill, stop, term, garbage, slow" in said


@pytest.mark.parametrize("format_", ["text", "csv"])
def test_other_formats(format_: str) -> None:
    out = stress("--bridge", "bridge.echo", "--operations", "20", "--format", format_)
    assert "20" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("load", [("--concurrency", "4"), ("--rate", "100")])
def test_a_signal_ends_the_load_with_its_report(
    number: signal.Signals, load: tuple[str, str], tmp_path: Path
) -> None:
    profile = tmp_path / "run.json"
    command = [
        *(sys.executable, "-m", "pool", "stress", "--bridge", "bridge.echo", *load),
        *("--command", "echo", "--duration", "50", "--telemetry", "127.0.0.1:0"),
        *("--profile", str(profile), "--format", "json"),
    ]
    with heeding_sigint():
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with running:
        assert running.stderr is not None
        said, url = running.stderr.readline().split(" at ")
        assert said == "telemetry"
        while not json.loads(urlopen(f"{url.strip()}/stats").read())["calls"].get("ok"):
            pass
        running.send_signal(number)
        report = json.loads(running.communicate(timeout=50)[0])
    assert running.returncode == 128 + number
    assert (report["ended_by"], report["conserved"]) == (number.name, True)
    assert 0 < report["offered"] == report["operations"]
    assert report["wall_s"] < 10
    assert json.loads(profile.read_text())["commands"]
