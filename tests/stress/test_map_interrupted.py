"""A run of the map command that is ended again and again: at the end each item is there once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

INTERRUPTIONS = int(os.environ.get("MAP_INTERRUPTIONS", "3"))
LONGEST = 0.15
"""Seconds from when the output grows to the latest interruption."""

NAP = 0.02
"""Seconds that the slow items take: with them a run lasts longer than it is let live."""

SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM]


def make_inputs(path: Path, seed: int) -> dict[int, bool]:
    """Write quick items, slow ones, bad ones and blank lines; return which of the items are bad."""
    random, bad, lines = Random(seed), {}, []
    for index in range(6_000):
        draw = random.random()
        if draw < 0.05:
            lines.append("")
            continue
        bad[index] = draw < 0.06
        seconds = NAP if draw > 0.98 else 0
        lines.append("[1]" if bad[index] else json.dumps({"seconds": seconds}))
    path.write_text("\n".join(lines))
    return bad


def grown(path: Path, size: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the file is larger; False if the process ends before."""
    while not path.exists() or path.stat().st_size <= size:
        if process.poll() is not None:
            return False
        time.sleep(0.001)  # nothing tells that a file has grown
    return True


def run(command: list[str], output: Path, number: signal.Signals, delay: float) -> int:
    """Let the command go on, and interrupt it some time after it has written."""
    size = output.stat().st_size if output.exists() else 0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            if grown(output, size, process):
                time.sleep(delay)
                process.send_signal(number)
            return process.wait()
        finally:
            process.kill()


def whole_lines(output: Path) -> list[dict[str, object]]:
    lines = output.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.timeout(60 + 5 * INTERRUPTIONS)
@pytest.mark.parametrize("order", [(), ("--ordered",)])
def test_each_item_is_there_once_whenever_it_was_interrupted(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    random = Random(len(order))
    inputs, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    bad = make_inputs(inputs, seed=len(order))
    command = [sys.executable, "-m", "pool", "map", "bridge.echo", "sleep", "--size", "3", *order]
    command += ["--inputs", str(inputs), "--output", str(output)]
    statuses = []
    for turn in range(INTERRUPTIONS):
        number = SIGNALS[turn % len(SIGNALS)]
        status = run(command, output, number, random.uniform(0, LONGEST))
        statuses.append(status)
        if turn % 3 == 2:  # as if it had been killed in the middle of a line
            os.truncate(output, output.stat().st_size - random.randrange(1, 20))
        if status == 1:
            break
        assert status in (-number, 128 + number)
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 1
    records = whole_lines(output)
    assert sorted(record["index"] for record in records) == sorted(bad)  # type: ignore[type-var]
    assert {record["index"]: "error" in record for record in records} == bad
    assert len(statuses) > 1
