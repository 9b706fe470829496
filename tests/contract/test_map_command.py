"""`bridgepool map`, as people run it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pool.cli import main

BRIDGE = "tests.contract.map_bridge"


class Files:
    """An input, an output, and the command between them."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.inputs = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self._capfd = capfd

    def write(self, items: Iterable[object]) -> None:
        lines = (item if isinstance(item, str) else json.dumps(item) for item in items)
        self.inputs.write_text("".join(f"{line}\n" for line in lines))

    def arguments(self, *arguments: str) -> list[str]:
        files = ("--inputs", str(self.inputs), "--output", str(self.output))
        return ["map", *arguments, *files]

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run the command in this process, which takes less time; return what it said."""
        with pytest.raises(SystemExit) as ended:
            main(self.arguments(*arguments))
        said = self._capfd.readouterr()
        assert (ended.value.code, said.out) == (status, ""), said.err
        return said.err

    def interrupt(self, number: signal.Signals, lines: int, *arguments: str) -> str:
        """Run it in a process of its own, and send that a signal when so many lines are done."""
        command = [sys.executable, "-m", "pool", *self.arguments(*arguments)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while not (self.output.exists() and self.output.read_bytes().count(b"\n") >= lines):
                assert process.poll() is None
                time.sleep(0.002)  # nothing tells that a file has grown
            process.send_signal(number)
            said = process.communicate()[1]
        assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
        return said

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def results(self) -> dict[int, Any]:
        """By their items, each of which is there once."""
        records = self.records()
        found = {record["index"]: record["result"] for record in records}
        assert len(found) == len(records)
        return found


@pytest.fixture
def files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Files:
    monkeypatch.setattr(
        "pool.cli.map.command.configure_logs", lambda _: None
    )  # it is for a whole process
    return Files(tmp_path, capfd)


def naps(count: int, seconds: float) -> list[dict[str, float]]:
    return [{"seconds": seconds}] * count


# Calling


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_each_line_is_called_for_once(files: Files, method: str) -> None:
    items: list[object] = [{"i": i, "text": "é"} for i in range(2000)]
    items[5], items[8] = "", "   "
    files.write(items)
    said = files.run("bridge.echo", "echo", "--start-method", method)
    assert files.results() == {i: item for i, item in enumerate(items) if isinstance(item, dict)}
    assert re.match(
        r"0 done before, 0 of them failed; 1998 done now, 0 failed; [\d.]+ s, [\d.]+ per second\n$",
        said,
    )


def test_results_are_in_order_if_that_is_asked_for(files: Files) -> None:
    items: list[object] = [{"seconds": 0.05 if i % 20 == 0 else 0} for i in range(100)]
    items[30] = "no object"
    files.write(items)
    files.run("bridge.echo", "sleep", "--ordered", "--size", "4", status=1)
    assert [record["index"] for record in files.records()] == list(range(100))


def test_errors_are_records_and_the_status(files: Files) -> None:
    items: list[object] = [{"i": i} for i in range(1500)]
    for i in range(0, 1500, 100):
        items[i] = [i]
    files.write([*items, '{"broken": '])
    files.run("bridge.echo", "echo", status=1)
    failed = [record for record in files.records() if "error" in record]
    assert len(files.records()) == 1501
    assert sorted(record["index"] for record in failed) == [*range(0, 1500, 100), 1500]
    assert {record["error"]["type"] for record in failed} == {"RequestError"}
    assert {record["error"]["message"] for record in failed if record["index"] < 1500} == {
        "the line is not a JSON object: Expected `object`, got `array`"
    }


def test_what_a_command_raises_is_told(files: Files) -> None:
    files.write([{"message": "no luck"}])
    said = files.run("bridge.echo", "fail", status=1)
    assert files.records() == [
        {
            "index": 0,
            "error": {"type": "RemoteError", "message": "no luck", "error_type": "ValueError"},
        }
    ]
    assert "1 done now, 1 failed" in said


def test_a_lost_worker_costs_the_calls_it_had(files: Files) -> None:
    files.write([{}, {}])
    files.run("bridge.faulty", "crash", status=1)
    assert [record["error"]["type"] for record in files.records()] == ["BrokenWorkerError"] * 2


@pytest.mark.parametrize(
    ("options", "status"),
    [((), 1), (("--idempotent",), 0), (("--idempotent", "--attempts", "1"), 1)],
)
def test_only_idempotent_calls_are_made_again(
    files: Files, tmp_path: Path, options: tuple[str, ...], status: int
) -> None:
    files.write([{"path": str(tmp_path / "crashed")}])
    files.run(BRIDGE, "crash_once", *options, status=status)
    (record,) = files.records()
    assert record.get("result") == (None if status else "alive")


def test_each_call_has_its_timeout(files: Files) -> None:
    files.write([*naps(3, 0.2), {"seconds": 20}])
    files.run("bridge.echo", "sleep", "--size", "1", "--timeout", "0.5", status=1)
    kinds = {record["index"]: record.get("error", {}).get("type") for record in files.records()}
    assert kinds == {0: None, 1: None, 2: None, 3: "CallTimeout"}


def test_the_start_of_a_worker_takes_no_time_from_a_call(files: Files) -> None:
    files.write([{}] * 4)
    slow = ("--options", json.dumps({"slow_start": 0.8}))
    files.run("bridge.faulty", "echo", *slow, "--size", "2", "--timeout", "0.5")
    assert files.results() == {i: {} for i in range(4)}


def test_settings_reach_the_pool(files: Files) -> None:
    files.write([{}] * 6)
    options = json.dumps({"greeting": "hello"})
    files.run("tests.contract.bridges:kinds", "started", "--options", options)
    assert files.results()[0] == {"started": ["hello"]}
    for more, most in (("8", 6), ("1", 1)):
        files.output.unlink()
        given = ("--size", "1", "--concurrency", "8", "--max-in-flight", more)
        files.run(BRIDGE, "together", *given)
        assert max(files.results().values()) == most


def test_a_result_that_spans_lines_takes_one(files: Files) -> None:
    files.write([{}] * 3)
    files.run(BRIDGE, "pretty")
    assert files.results() == {i: {"text": "a\nb", "list": [1, 2]} for i in range(3)}


# Going on


def test_what_is_done_is_not_called_for_again(files: Files) -> None:
    files.write({"i": i} for i in range(1000))
    files.run("bridge.echo", "echo")
    whole = files.output.read_bytes()
    said = files.run("no.such.module", "echo")  # which nobody needs
    assert said.startswith("1000 done before, 0 of them failed; 0 done now")
    assert files.output.read_bytes() == whole
    lines = whole.splitlines(keepends=True)
    files.output.write_bytes(b"".join(lines[200:700]) + lines[0][:-3])
    said = files.run("bridge.echo", "echo")
    assert said.startswith("500 done before, 0 of them failed; 500 done now")
    assert files.results() == {i: {"i": i} for i in range(1000)}


def test_failures_of_an_earlier_run_count(files: Files) -> None:
    files.write(["[]", {"i": 1}])
    files.run("bridge.echo", "echo", status=1)
    said = files.run("bridge.echo", "echo", status=1)
    assert said.startswith("2 done before, 1 of them failed; 0 done now")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_is_gone_on_with(files: Files, number: signal.Signals) -> None:
    files.write(naps(40, 0.03))
    said = files.interrupt(number, 5, "bridge.echo", "sleep", "--size", "2")
    done = len(files.records())
    assert 5 <= done < 40
    if number != signal.SIGKILL:
        assert f" {done} done now" in said
        assert said.endswith(f"ended by {number.name}; the same command goes on from here\n")
    assert files.run("bridge.echo", "sleep").startswith(f"{done} done before")
    assert files.results() == {i: {"slept": 0.03} for i in range(40)}


def test_a_run_is_interrupted_while_its_workers_start(files: Files) -> None:
    files.write([{}])
    begun = ("bridge.faulty", "echo", "--options", json.dumps({"slow_start": 30}))
    said = files.interrupt(signal.SIGTERM, 0, *begun)
    assert said.endswith("ended by SIGTERM; the same command goes on from here\n")
    assert files.records() == []


def test_a_full_disk_ends_the_run_and_leaves_whole_lines(files: Files) -> None:
    files.write({"i": i} for i in range(3000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        said = files.run("bridge.echo", "echo", status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Error: [Errno 27] File too large" in said
    assert "Traceback" not in said
    kept = files.output.read_bytes()
    assert 0 < len(kept) <= 30_000
    assert kept.endswith(b"\n")
    files.run("bridge.echo", "echo")
    assert files.results() == {i: {"i": i} for i in range(3000)}


# What ends it


def test_an_unfit_environment_ends_it_with_one_message(files: Files) -> None:
    files.write([{}])
    said = files.run("no.such.module", "echo", status=1)
    assert "Error: " in said
    assert "no.such.module" in said
    assert "Traceback" not in said
    assert files.records() == []


def test_workers_that_cannot_start_end_it_with_one_message(files: Files) -> None:
    files.write([{}] * 3)
    said = files.run("tests.contract.bridges:failing", "echo", status=1)
    assert "the weights are missing" in said
    assert files.records() == []


@pytest.mark.parametrize("content", ['{"text": "mine"}\n', "notes", '{"index":7,"result":1}\n'])
def test_an_output_of_something_else_is_left_alone(files: Files, content: str) -> None:
    files.write([{}])
    files.output.write_text(content)
    said = files.run("bridge.echo", "echo", status=2)
    assert f"{files.output} cannot be gone on with: " in said
    assert files.output.read_text() == content


def test_an_output_that_is_the_input_is_refused(files: Files) -> None:
    files.write([{}])
    files.output.hardlink_to(files.inputs)
    assert "is the input" in files.run("bridge.echo", "echo", status=2)
    assert files.inputs.read_text() == "{}\n"


def test_an_output_has_one_run_at_a_time(files: Files) -> None:
    files.write([{}])
    with files.output.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "by another run" in files.run("bridge.echo", "echo", status=2)
    files.run("bridge.echo", "echo")


def test_files_that_cannot_be_used_are_usage_errors(files: Files, tmp_path: Path) -> None:
    os.mkfifo(files.inputs)
    assert "no regular file" in files.run("bridge.echo", "echo", status=2)
    files.inputs.unlink()
    assert "does not exist" in files.run("bridge.echo", "echo", status=2)
    files.write([{}])
    os.mkfifo(files.output)
    assert "no regular file" in files.run("bridge.echo", "echo", status=2)
    files.output = tmp_path / "no" / "folder"
    assert "No such file" in files.run("bridge.echo", "echo", status=2)


def test_settings_that_cannot_be_are_usage_errors(files: Files) -> None:
    files.write([{}])
    assert "JSON" in files.run("bridge.echo", "echo", "--options", "{", status=2)
    assert "bridge" in files.run("", "echo", status=2)
    assert not files.output.exists()
