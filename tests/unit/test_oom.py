"""Kills of the kernel's, told from others by its count of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pool.errors import BrokenWorkerError
from pool.launch.oom import OomKills, sources
from pool.testing import Obedient, ScriptedLauncher, ScriptedPool, run


class Kernel:
    """Writes a file as the kernel does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kills(0)

    def kills(self, count: int) -> None:
        self.path.write_text(f"low 0\noom 9\noom_kill {count}\noom_group_kill 7\n")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "memory.events")


def test_each_kill_is_claimed_once(kernel: Kernel) -> None:
    kills = OomKills([kernel.path])
    assert not kills.claim()
    kernel.kills(2)
    assert [kills.claim() for _ in range(3)] == [True, True, False]


def test_kills_of_long_ago_are_nobodys(kernel: Kernel) -> None:
    kernel.kills(3)
    kills = OomKills([kernel.path])
    assert not kills.claim()
    kernel.kills(4)
    kills.launching()
    kills.launching()
    assert not kills.claim()


def test_one_is_not_forgotten_by_the_launch_of_the_replacement_of_another(kernel: Kernel) -> None:
    kills = OomKills([kernel.path])
    kernel.kills(2)
    assert kills.claim()
    kills.launching()
    assert kills.claim()
    kills.launching()
    kills.launching()
    assert not kills.claim()


def test_the_first_file_that_counts_is_asked(tmp_path: Path, kernel: Kernel) -> None:
    silent = tmp_path / "silent"
    silent.write_text("low 0\n")
    kills = OomKills([tmp_path / "missing", silent, kernel.path])
    kernel.kills(1)
    assert kills.claim()


def test_where_nothing_counts_nothing_is_claimed(tmp_path: Path) -> None:
    kills = OomKills([tmp_path / "missing"])
    kills.launching()
    assert not kills.claim()


def test_this_machine_counts() -> None:
    assert OomKills(sources(""))._source == Path("/proc/vmstat")


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/a/b\n", ["a/b/memory.events", "memory.events"]),
        ("0::/a:b\n", ["a:b/memory.events", "memory.events"]),
        (
            "5:cpu,memory:/a\n1:name=systemd:/\n0::/\n",
            [
                "memory/a/memory.oom_control",
                "memory/memory.oom_control",
                "memory.events",
                "memory.events",
            ],
        ),
        ("3:cpu:/a\n", []),
    ],
)
def test_the_files_of_a_cgroup(membership: str, files: list[str]) -> None:
    root = Path("/cgroups")
    found = [*sources(membership, root)]
    assert found == [*(root / file for file in files), Path("/proc/vmstat")]


@pytest.mark.parametrize(
    ("runs_out", "status", "reason"),
    [(True, -9, "oom"), (False, -9, "signal"), (True, -15, "signal")],
)
def test_a_worker_that_the_kernel_killed(runs_out: bool, status: int, reason: str) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story() -> None:
        async with ScriptedPool(launcher, size=1) as pool:
            await pool.wait_ready()
            (child,) = launcher.living
            child.process.has_run_out = runs_out
            async with pool.checkout() as worker:
                child.exit(status)
                with pytest.raises(BrokenWorkerError) as caught:
                    await worker.call("echo", {})
            assert ("memory ran out" in str(caught.value)) == (reason == "oom")
            assert pool.stats().worker_exits == {reason: 1}

    run(story())
