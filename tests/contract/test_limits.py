"""Limits of each worker: in force however it was started, and felt by nobody else."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.messages.secrets import Secrets
from pool import EnvironmentInvalid, RemoteError, WorkerPool, WorkerStartError
from pool.config import PoolConfig
from pool.launch.forked import ForkedProcess
from pool.launch.forkserver import ForkLauncher
from pool.launch.limits import apply_limits
from pool.launch.template import Template
from tests.contract.pools import LAUNCHERS, make_pool, until
from tests.processes import children, offspring

SHOWS = "tests.contract.limit_bridges:shows"
MIB = 1 << 20


def limited(launcher: str, bridge: str = SHOWS, **options: Any) -> WorkerPool:
    return make_pool(launcher, bridge, **{"size": 1, **options})


def own() -> dict[str, Any]:
    """The limits of this process."""
    return of(os.getpid())


def of(pid: int) -> dict[str, Any]:
    return {
        "address_space": [*resource.prlimit(pid, resource.RLIMIT_AS)],
        "open_files": [*resource.prlimit(pid, resource.RLIMIT_NOFILE)],
        "niceness": os.getpriority(os.PRIO_PROCESS, pid),
    }


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_worker_has_the_limits_asked_for_and_nobody_else(launcher: str) -> None:
    before = own()
    asked: dict[str, Any] = {"max_address_space": 1024 * MIB, "max_open_files": 64, "niceness": 3}
    async with limited(launcher, size=2, **asked) as pool:
        await pool.wait_ready()
        told = await pool.call("told")
        workers = {worker.pid for worker in pool.stats().workers}
        others = [of(pid) for pid in children() - workers]
        assert pool.stats().start_method == ("forkserver" if others else "spawn")
    assert told["address_space"] == [1024 * MIB, 1024 * MIB]
    assert told["open_files"] == [64, 64]
    assert told["niceness"] == min(before["niceness"] + 3, 19)
    assert own() == before
    assert others == [before] * (launcher == "forkserver")


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_without_settings_a_worker_has_what_its_parent_has(launcher: str) -> None:
    async with limited(launcher) as pool:
        told = await pool.call("told")
    assert {name: told[name] for name in own()} == own()


# More than there is


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_command_that_takes_too_much_fails_and_its_worker_serves_on(launcher: str) -> None:
    async with limited(launcher, max_address_space=128 * MIB) as pool:
        for how in ("at once", "bit by bit", "bit by bit"):
            with pytest.raises(RemoteError) as caught:
                await pool.call("take", {"how": how})
            assert caught.value.error_type == "MemoryError"
        with pytest.raises(RemoteError, match="LookupError: no room"):
            await pool.call("take", {"how": "told otherwise"})
        await pool.call("told")
        assert pool.stats().worker_starts == 1


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_command_that_opens_too_much_fails_and_its_worker_serves_on(launcher: str) -> None:
    async with limited(launcher, max_open_files=64) as pool:
        for _ in range(2):
            with pytest.raises(RemoteError, match="Too many open files") as caught:
                await pool.call("open_files", {"count": 64})
            assert caught.value.error_type == "OSError"
            assert await pool.call("open_files", {"count": 40}) == 40
        assert pool.stats().worker_starts == 1


# Threads


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_with_one_thread_numpy_starts_none_and_workers_may_be_forked(
    launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    async with limited(launcher, "tests.contract.numeric_bridge", cpu_threads=1) as pool:
        # Its main thread, and the bridge's own that watches for end of file.
        assert await pool.call("threads_of_a_product") == 2
        assert (pool.stats().start_method == "forkserver") == (launcher == "forkserver")


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_env_wins_over_cpu_threads(launcher: str) -> None:
    async with limited(launcher, cpu_threads=3, env={"OMP_NUM_THREADS": "5"}) as pool:
        variables = (await pool.call("told"))["environment"]
    assert (variables["OMP_NUM_THREADS"], variables["OPENBLAS_NUM_THREADS"]) == ("5", "3")


# Limits that cannot be


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_limit_above_the_parents_own_makes_the_environment_invalid(launcher: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with limited(
        launcher, max_open_files=hard + 1, requires_env=["NO_SUCH_VARIABLE"]
    ) as pool:
        with pytest.raises(EnvironmentInvalid) as caught:
            await pool.call("told")
        problems = caught.value.problems
        assert f"max_open_files={hard + 1} is above this process's own hard limit" in problems[0]
        assert "NO_SUCH_VARIABLE" in problems[1]
        assert pool.stats().worker_starts == 0


async def test_an_imported_bridge_that_takes_more_makes_the_environment_invalid() -> None:
    bridge = "tests.contract.large_import"
    async with limited("forkserver", bridge, max_address_space=128 * MIB) as pool:
        with pytest.raises(EnvironmentInvalid, match=r"max_address_space=\d+ is too little: .*"):
            await pool.call("size")
        assert pool.stats().generation == 0
    async with limited("forkserver", bridge, max_address_space=512 * MIB) as pool:
        assert await pool.call("size") == 256 * MIB


@pytest.mark.parametrize("launcher", ["spawn", "argv"])
async def test_an_import_that_takes_too_much_is_a_failed_start_with_its_cause(
    launcher: str,
) -> None:
    bridge = "tests.contract.large_import"
    async with limited(launcher, bridge, max_address_space=128 * MIB, max_restarts=0) as pool:
        with pytest.raises(WorkerStartError, match="Cannot allocate memory"):
            await pool.call("size")


@pytest.fixture
def _refusing_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "prlimit", refuse)


@pytest.mark.usefixtures("_refusing_kernel")
@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_limit_that_the_kernel_refuses_is_a_failed_start(launcher: str) -> None:
    async with limited(launcher, max_open_files=64, max_restarts=0) as pool:
        said = "max_open_files=64 cannot be set for the worker: Operation not permitted"
        with pytest.raises(WorkerStartError, match=said):
            await pool.call("told")


@pytest.mark.usefixtures("_refusing_kernel")
async def test_a_forked_worker_that_cannot_be_limited_is_gone_when_the_launch_fails() -> None:
    launcher = ForkLauncher(PoolConfig(bridge=SHOWS, max_open_files=64), Secrets())
    assert await launcher.validate() == ()
    (template,) = children()
    with pytest.raises(PermissionError):
        await launcher.launch("worker")
    assert offspring(template) == set()
    await launcher.aclose()


async def test_a_forked_worker_that_has_ended_is_not_limited_by_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number may be another's by then."""
    fork, touched = Template.fork, list[int]()

    async def fork_in_vain(template: Template, *place: Any) -> ForkedProcess:
        process = await fork(template, *place)
        os.kill(process.pid, signal.SIGKILL)
        while not process.is_reaped:  # by the template
            pass
        return process

    monkeypatch.setattr(Template, "fork", fork_in_vain)
    monkeypatch.setattr(resource, "prlimit", lambda pid, *_: touched.append(pid))
    async with limited("forkserver", max_open_files=64, max_restarts=0) as pool:
        with pytest.raises(WorkerStartError, match="SIGKILL"):
            await pool.call("told")
        await until(pool, lambda stats: stats.total == 0)
    assert touched == []


# Niceness


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(command) as popen:
        yield popen
        popen.kill()


@pytest.mark.parametrize(
    ("ours", "its", "added", "then"),
    [(0, 0, 5, 5), (4, 4, 5, 9), (10, 10, 15, 19), (0, 12, 5, 12)],
)
def test_niceness_is_added_to_ours_and_never_lowered(
    sleeper: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    ours: int,
    its: int,
    added: int,
    then: int,
) -> None:
    niceness, us = os.getpriority, os.getpid()
    os.setpriority(os.PRIO_PROCESS, sleeper.pid, its)
    monkeypatch.setattr(
        os, "getpriority", lambda kind, pid: ours if pid == us else niceness(kind, pid)
    )
    apply_limits(PoolConfig(bridge="a", niceness=added), sleeper.pid)
    assert niceness(os.PRIO_PROCESS, sleeper.pid) == then


def test_a_process_that_has_ended_needs_no_limits(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    apply_limits(PoolConfig(bridge="a", max_open_files=64, niceness=5), sleeper.pid)
