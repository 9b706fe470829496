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
]
CASES = [
    *((phase, method) for phase in PHASES for method in ("spawn", "forkserver")),
    ("template killed", "forkserver"),
    ("template stopped", "forkserver"),
    ("stopped at birth", "forkserver"),
    *((f"foreign {phase}", "argv") for phase in ("starting", "idle", "running")),
]


def kill_in(phase: str, method: str) -> set[int]:
    """Bring an application into a phase, kill it, and return the workers it had."""
    command = [sys.executable, "-m", "tests.contract.orphan_parent", phase, method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            line = parent.stdout.readline().split()
            assert line[0] == "reached"
        finally:
            parent.kill()
    return {int(pid) for pid in line[1:]}


@pytest.mark.parametrize(("phase", "method"), CASES)
def test_nothing_is_left_two_seconds_after_the_parent_was_killed(phase: str, method: str) -> None:
    workers = kill_in(phase, method)
    assert workers or phase in ("validating", "importing")
    left = ends_within(workers | marked(), 2.0)
    kill_all(left)
    assert not left


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_forked_child_of_the_application_keeps_no_worker_alive(method: str) -> None:
    workers = kill_in("forked", method)
    survivors = marked() - workers
    left = ends_within(workers, 2.0)
    kill_all(left | survivors)
    assert not left
    assert survivors, "the forked child was to outlive its parent"
