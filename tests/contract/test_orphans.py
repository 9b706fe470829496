"""The application is killed by SIGKILL, in any phase: nothing of ours is left."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ends_within, kill_all, marked

PHASES = [
    "validating",
    "starting",
    "importing",
    "idle",
    "running",
    "holding the GIL",
    "stopped",
    "ignoring",
    "foreign starting",
    "foreign idle",
    "foreign running",
]


def kill_in(phase: str) -> set[int]:
    """Bring an application into a phase, kill it, and return the workers it had."""
    command = [sys.executable, "-m", "tests.contract.orphan_parent", phase]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline().split()
        assert line[0] == "reached"
        parent.kill()
        parent.wait()
    return {int(pid) for pid in line[1:]}


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_left_two_seconds_after_the_parent_was_killed(phase: str) -> None:
    workers = kill_in(phase)
    assert workers or phase == "validating"
    left = ends_within(workers | marked(), 2.0)
    kill_all(left)
    assert not left


def test_a_forked_child_of_the_application_keeps_no_worker_alive() -> None:
    workers = kill_in("forked")
    survivors = marked() - workers
    left = ends_within(workers, 2.0)
    kill_all(left | survivors)
    assert not left
    assert survivors, "the forked child was to outlive its parent"
