"""Samples, each in a process of its own that cannot outlast its deadline, and in turn."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import kill_marked

MARK = "BRIDGEPOOL_BENCHMARK"
CLOSING = 10.0
"""Seconds that a contender may take to close, once it has been measured."""

Answers = dict["Sample", list[dict[str, Any]]]


@dataclass(frozen=True)
class Sample:
    """What is to be measured; `settings` are the arguments of the benchmark's `measure`."""

    benchmark: str
    contender: str
    settings: tuple[tuple[str, Any], ...] = ()
    deadline: float = 30.0

    def take(self) -> dict[str, Any]:
        """Return what was measured; {"failed": why} if nothing was, in `deadline` seconds.

        The answer has "unclosed" where the contender could not be closed. No process is left.
        """
        command = [sys.executable, "-m", "benchmarks.once", self.benchmark, self.contender]
        command += [json.dumps(dict(self.settings))]
        return run_marked(command, self.deadline)


def run_marked(
    command: Sequence[str], deadline: float, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a program that answers on the descriptor given to it as its last argument."""
    read_fd, write_fd = os.pipe()
    token = uuid.uuid4().hex
    with _killing(token), tempfile.TemporaryFile() as errors, os.fdopen(read_fd, "rb", 0):
        with os.fdopen(write_fd, "wb", 0):
            process = subprocess.Popen(
                [*command, str(write_fd)],
                env={**os.environ, **(env or {}), MARK: token},
                pass_fds=[write_fd],
                stdout=errors,
                stderr=errors,
            )
        with process:
            try:
                line = _read_line(read_fd, deadline)
            except TimeoutError:
                process.kill()
                return {"failed": f"hung, killed after {deadline:g} s"}
            if not _ended(process):
                process.kill()
                return {"unclosed": True, **json.loads(line or b"{}")}
            return json.loads(line) if line else {"failed": _why(process, errors)}


@contextmanager
def _killing(token: str) -> Iterator[None]:
    """Whatever happens, end what the sample has left behind."""
    try:
        yield
    finally:
        kill_marked(f"{MARK}={token}")


def _read_line(fd: int, seconds: float) -> bytes:
    """Read up to the end of a line, or of the file; workers may hold the other end open."""
    until = time.monotonic() + seconds
    data = b""
    while not data.endswith(b"\n"):
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        if not (chunk := os.read(fd, 65536)):
            break
        data += chunk
    return data


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(CLOSING)
    except subprocess.TimeoutExpired:
        return False
    return True


def _why(process: subprocess.Popen[bytes], errors: Any) -> str:
    """The last line that it wrote, which in Python names the exception."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ended with status {process.returncode}"


def take_in_turn(samples: Sequence[Sample], rounds: int) -> Answers:
    """Take every sample `rounds` times, one after the other, so that a slow minute hits all."""
    taken: Answers = defaultdict(list)
    for number in range(rounds):
        for sample in samples:
            settings = " ".join(str(value) for _, value in sample.settings)
            print(
                f"{sample.benchmark} {number + 1}/{rounds} {sample.contender} {settings}",
                file=sys.stderr,
            )
            taken[sample].append(sample.take())
    return taken


def by_contender(taken: Answers, settings: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The answers of the samples that have these settings among theirs."""
    return {
        sample.contender: answers
        for sample, answers in taken.items()
        if settings.items() <= dict(sample.settings).items()
    }
