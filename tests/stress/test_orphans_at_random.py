"""The application is killed by SIGKILL at any moment: two seconds later nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from statistics import median

import pytest

from tests.processes import ends_within, kill_all, marked
from tests.stress.orphaned import PHASES

MOMENTS = int(os.environ.get("ORPHAN_MOMENTS", "4"))
AT_ONCE = 3
"""Applications that run beside each other."""

LIMIT = 2.0
"""Seconds after which nothing may be left."""

LONGEST = 0.6
"""Seconds from the beginning of a phase to the latest moment in it."""

NOT_OURS = {"importing", "holding the GIL"}
"""Phases that a foreign executable, which imports nothing of ours, does not have."""


@dataclass(frozen=True)
class Moment:
    method: str
    phase: str
    delay: float
    seed: int

    @property
    def mark(self) -> str:
        return f"BRIDGEPOOL_TEST_ORPHANS={self.method}-{self.seed}-{os.getpid()}"


def moments(method: str) -> Iterator[Moment]:
    """Random instants of all phases in turn, in an order of their own for each method."""
    random = Random(method)
    phases = [phase for phase in PHASES if method != "argv" or phase not in NOT_OURS]
    random.shuffle(phases)
    for seed, phase in enumerate(cycle(phases)):
        yield Moment(method, phase, random.uniform(0.0, LONGEST), seed)


def kill_at(moment: Moment) -> float:
    """Run an application and kill it; return when that was."""
    name, _, value = moment.mark.partition("=")
    command = [sys.executable, "-m", "tests.stress.orphaned"]
    with subprocess.Popen(
        [*command, moment.method, moment.phase, str(moment.seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, name: value},
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "reached\n"
            time.sleep(moment.delay)
            assert parent.poll() is None
        finally:
            killed = time.monotonic()
            parent.kill()
    return killed


def seconds_until_nothing_is_left(moment: Moment) -> float:
    """Of the application and of all that descended from it, by whomever it is adopted."""
    killed = kill_at(moment)
    while left := marked(moment.mark):
        rest = killed + LIMIT - time.monotonic()
        if rest <= 0:
            kill_all(left)
            return float("inf")
        ends_within(left, rest)
    return time.monotonic() - killed


@pytest.mark.timeout(60 + 5 * MOMENTS)
@pytest.mark.parametrize("method", ["spawn", "forkserver", "argv"])
def test_nothing_is_left_two_seconds_after_a_random_moment(method: str) -> None:
    chosen = list(islice(moments(method), MOMENTS))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        took = list(threads.map(seconds_until_nothing_is_left, chosen))
    print(f"{method}: {MOMENTS} moments, median {median(took):.3f} s, longest {max(took):.3f} s")
    assert not [moment for moment, seconds in zip(chosen, took, strict=True) if seconds > LIMIT]
