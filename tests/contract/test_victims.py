"""Faults from outside hit the worker they are meant for, whichever way it was started."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from random import Random

import pytest

from pool import ProtocolError, WorkerPool
from pool.cli.stress.chaos import FAULTS, Chaos, Plan
from pool.cli.stress.victims import Victim
from tests.contract.pools import WAYS, make_pool, until

each_launcher = pytest.mark.parametrize("launcher", WAYS)


async def until_stopped(pool: WorkerPool, pid: int) -> None:
    status = Path(f"/proc/{pid}/status")
    await until(pool, lambda _: "State:\tT" in status.read_text())


@each_launcher
async def test_garbage_arrives_among_the_replies(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool, pool.checkout() as worker:
        assert worker.pid is not None
        with Victim(worker.pid) as victim:
            call = asyncio.create_task(worker.call("sleep", {"seconds": 30}))
            await until(pool, lambda stats: stats.inflight_calls == 1)
            FAULTS["garbage"](victim)
            with pytest.raises(ProtocolError, match="no reply"):
                await call
            await victim.ended()


@each_launcher
@pytest.mark.parametrize("kind", ["kill", "term"])
async def test_a_signal_ends_its_worker(launcher: str, kind: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        pid = (await pool.call("pid"))["pid"]
        with Victim(pid) as victim:
            FAULTS[kind](victim)
            await victim.ended()
        assert (await pool.call("pid", idempotent=True))["pid"] != pid


@each_launcher
async def test_a_worker_that_was_stopped_goes_on_when_it_is_let_go(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        pid = (await pool.call("pid"))["pid"]
        with Victim(pid) as victim:
            FAULTS["stop"](victim)
            await until_stopped(pool, pid)
        assert (await pool.call("pid"))["pid"] == pid


def test_a_process_that_is_no_worker_of_ours_is_not_touched() -> None:
    with subprocess.Popen(["sleep", "30"]) as stranger:
        with pytest.raises(OSError, match="no worker of this process"):
            Victim(stranger.pid)
        assert stranger.poll() is None
        stranger.kill()
    with pytest.raises(ProcessLookupError):
        Victim(stranger.pid)


def chaos_of(pool: WorkerPool, *faults: str, patience: float = 10.0) -> Chaos:
    plan: Plan = iter([(0.0, kind) for kind in faults])
    return Chaos(pool, plan, Random(0), patience)


async def test_a_worker_is_not_struck_again_before_the_fault_is_over() -> None:
    async with make_pool("forkserver", size=1) as pool:
        pid = (await pool.call("pid"))["pid"]
        chaos = chaos_of(pool, "stop", "kill")
        async with chaos.at_large():
            await until_stopped(pool, pid)
        assert (await pool.call("pid"))["pid"] == pid
    assert chaos.toll.struck == {"stop": 1}
    assert not chaos.toll.survivors


async def test_a_worker_that_is_slow_is_let_go_of_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pool.cli.stress.chaos.SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr("pool.cli.stress.chaos.LONGEST_PAUSE", 0.02)
    async with make_pool("forkserver", size=1) as pool:
        pid = (await pool.call("pid"))["pid"]
        async with chaos_of(pool, "slow").at_large():
            await until_stopped(pool, pid)
            assert (await pool.call("pid", timeout=5))["pid"] == pid


async def test_a_victim_that_does_not_end_in_time_is_a_survivor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAULTS, "kill", lambda victim: None)
    async with make_pool("forkserver", size=1) as pool:
        await pool.wait_ready()
        chaos = chaos_of(pool, "kill", patience=0.1)
        async with chaos.at_large():
            await until(pool, lambda _: bool(chaos.toll.struck))
    assert chaos.toll.survivors == {"kill": 1}


async def test_from_a_kill_to_as_many_workers_as_before_is_timed() -> None:
    async with make_pool("forkserver", size=2) as pool:
        await pool.wait_ready()
        chaos = chaos_of(pool, "kill")
        async with chaos.at_large():
            await until(pool, lambda stats: stats.idle == 1)
        assert pool.stats().idle == 2
    assert (chaos.toll.struck, chaos.toll.ended) == ({"kill": 1}, {"kill": 1})
    assert chaos.toll.regains.count == 1
