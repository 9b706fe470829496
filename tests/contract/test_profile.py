"""Profiles of real workers: what they hear, what they find, and that they cost nothing when off."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from pool import RemoteError, SyncWorkerPool, WorkerPool
from pool.cli import main
from pool.exchange.calls import prepare
from pool.exchange.codec import Codec, Times
from pool.exchange.results import result_of
from pool.profile import Report, Thresholds, as_text, from_json
from pool.profile.profiler import BEAT, pause
from tests.contract.pools import LAUNCHERS, make_pool
from tests.contract.wounded_bridges import NAMES
from tests.unit.profiles import open_fonts

WOUNDED = "tests.contract.wounded_bridges"
PATIENT = Thresholds(noise=0.1, calls=10)
"""For processors that others use too: a call that takes 2 ms may then take 50."""


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    open_fonts()


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_profile_of_a_whole_life(launcher: str) -> None:
    pool = make_pool(launcher, size=1)
    with pool.profile(interval=0.01) as profile:
        async with pool:
            for _ in range(20):
                await pool.call("echo", {"text": "a"})
            async with pool.checkout() as worker:
                await worker.call("sleep", {"seconds": 0.5})
                with pytest.raises(RemoteError):
                    await worker.call("fail", {"message": "no"})
    report = profile.report()
    assert [command.name for command in report.commands] == ["sleep", *_others(report, "sleep")]
    echo = report.command("echo")
    assert (echo.count, echo.success, echo.outcomes) == (20, 1.0, {"ok": 20})
    assert set(echo.durations) == {
        "queue wait",
        "encode",
        "transport",
        "compute",
        "decode",
        "call",
    }
    assert echo.durations["encode"].count == echo.durations["decode"].count == 20
    assert 0 < echo.durations["encode"].max < 1
    assert report.command("fail").outcomes == {"error": 1}
    assert report.command("sleep").durations["call"].min >= 0.5
    assert report.start_wait is not None
    assert report.start_wait.count == 1
    (start,) = report.starts
    assert 0 < start.launch <= start.ready <= start.at
    assert len(report.templates) == (launcher == "forkserver")
    assert all(0 < template.imports < template.ready for template in report.templates)
    assert report.exits == {"drain": 1}
    (worker_seen,) = report.workers
    assert worker_seen.name == start.worker
    assert worker_seen.peak >= worker_seen.memory[-1].resident > 1_000_000
    assert report.snapshots[-1].calls == 22
    assert report.slowest[0].command == "sleep"
    assert from_json(report.to_json()) == report


def _others(report: Report, first: str) -> list[str]:
    return [command.name for command in report.commands if command.name != first]


async def test_nothing_is_spent_when_it_is_off() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool:
        profile = pool.profile()
        assert _is_off(pool)
        with profile:
            await pool.call("echo", {})
            assert pool._codec.prepare is not prepare
            assert pool._hub.calls.are_wanted
        assert _is_off(pool)
        await pool.call("echo", {})
    assert profile.report().calls == 1


def _is_off(pool: WorkerPool) -> bool:
    codec, hub = pool._codec, pool._hub
    plain = codec.prepare is prepare and codec.result_of is result_of
    return plain and not (hub.calls.are_wanted or hub.checkouts.are_wanted or hub.granted)


async def test_it_is_started_stopped_and_cleared_at_any_time() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool:
        profile = pool.profile()
        await pool.call("echo", {})
        assert profile.report().calls == 0
        for _ in range(2):
            profile.start()
            profile.start()
            await pool.call("echo", {})
            assert profile.report().calls == _ + 1
            profile.stop()
            profile.stop()
            await pool.call("echo", {})
        profile.start()
        profile.clear()
        assert profile.is_on
        assert profile.report().calls == 0
        await pool.call("pid", {})
        assert [command.name for command in profile.report().commands] == ["pid"]
        profile.stop()
        seconds = profile.report().seconds
        await pool.call("echo", {})
        assert profile.report().seconds == seconds


async def test_two_profiles_at_a_time() -> None:
    async with make_pool("forkserver", size=1) as pool:
        with pool.profile() as outer:
            await pool.call("echo", {})
            with pool.profile() as inner:
                await pool.call("echo", {})
            await pool.call("echo", {})
        assert (outer.report().calls, inner.report().calls) == (3, 1)
        for profile, count in ((outer, 3), (inner, 1)):
            assert profile.report().command("echo").durations["encode"].count == count
        assert _is_off(pool)


async def test_settings_that_cannot_be() -> None:
    pool = make_pool("forkserver")
    with pytest.raises(ValueError, match="interval=0"):
        pool.profile(interval=0)
    with pytest.raises(ValueError, match="keep=-1"):
        pool.profile(keep=-1)


async def test_a_loop_that_is_blocked_shows() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool:
        await pool.call("echo", {})
        with pool.profile(interval=0.01) as profile:
            await asyncio.sleep(0.06)
            blocked = asyncio.get_running_loop().time() + 0.2
            while asyncio.get_running_loop().time() < blocked:
                pass
            await asyncio.sleep(0.06)
    lag = profile.report().loop_lag
    assert lag is not None
    assert lag.max >= 0.1
    assert max(seen.lag for seen in profile.report().snapshots) == lag.max


def test_for_synchronous_code() -> None:
    with SyncWorkerPool("bridge.echo", size=1) as pool:
        with pool.profile() as profile:
            pool.call("echo", {})
            assert profile.report().calls == 1
            profile.clear()
            profile.stop()
            pool.call("echo", {})
            profile.start()
            pool.call("pid", {})
        assert [command.name for command in profile.report().commands] == ["pid"]
    assert "pid" in as_text(profile.report())


def test_a_synchronous_pool_that_is_closed_within_the_block() -> None:
    pool = SyncWorkerPool("bridge.echo", size=1)
    pool.open()
    with pool.profile():
        pool.call("echo", {})
        pool.close()


# Its parts


def test_what_is_timed_and_what_is_not() -> None:
    codec, first, second = Codec(), Times(), Times()
    codec.time(first)
    codec.time(second)
    assert codec.prepare("a", {}, None, 1024).command == "a"
    codec.leave(first)
    codec.prepare("a", {}, None, 1024)
    codec.leave(second)
    codec.prepare("a", {}, None, 1024)
    assert codec.prepare is prepare
    assert (len(first.encode["a"]), len(second.encode["a"])) == (1, 2)


@pytest.mark.parametrize(
    ("elapsed", "cost", "seconds"),
    [(0.0, 0.0, BEAT), (1.0, 0.0, 0.05), (60.0, 0.0, 0.25), (60.0, 0.01, 1.0)],
)
def test_snapshots_are_close_in_the_beginning_and_rare_where_they_cost(
    elapsed: float, cost: float, seconds: float
) -> None:
    assert pause(elapsed, cost, 0.25) == pytest.approx(seconds)


# Wounds


async def profile_of(
    bridge: str, commands: Sequence[str], calls: int, *, rounds: int = 1
) -> Report:
    """Two lanes of calls on two workers, so that nobody waits for long.

    Again, up to so many `rounds`, until there is a finding: on a busy machine snapshots
    are few, and a trend needs some.
    """
    pool = WorkerPool(f"{WOUNDED}:{bridge}", size=2)
    with pool.profile(interval=0.02, thresholds=PATIENT) as profile:
        async with pool:
            await pool.wait_ready()
            for _ in range(rounds):
                await asyncio.gather(*(_lane(pool, commands, calls // 2) for _ in range(2)))
                if profile.report().findings:
                    break
    return profile.report()


async def _lane(pool: WorkerPool, commands: Sequence[str], calls: int) -> None:
    for command in islice(cycle(commands), calls):
        await pool.call(command, {})


@pytest.mark.parametrize("commands", [["work"], NAMES], ids=["one command", "ten commands"])
async def test_a_bridge_that_is_well_gets_no_finding(commands: Sequence[str]) -> None:
    report = await profile_of("well", commands, 200)
    assert report.findings == ()


@pytest.mark.parametrize(
    ("bridge", "commands", "calls", "kind", "subject", "severities"),
    [
        ("leaks", ["remember"], 160, "leak", "workers", {"critical"}),
        ("slow_command", NAMES, 100, "slow", "rank", {"high"}),
        ("slow_call", ["answer"], 80, "high variance", "answer", {"critical"}),
        ("slow_start", ["work"], 40, "start", "workers", {"high"}),
    ],
)
async def test_each_wound_is_found_and_nothing_else(
    bridge: str,
    commands: Sequence[str],
    calls: int,
    kind: str,
    subject: str,
    severities: set[str],
) -> None:
    report = await profile_of(bridge, commands, calls, rounds=5 if kind == "leak" else 1)
    assert [(found.kind, found.subject) for found in report.findings] == [(kind, subject)]
    assert report.findings[0].severity in severities
    if kind == "leak":
        worker = next(worker for worker in report.workers if worker.trend.leak_suspected)
        assert worker.trend.bytes_per_call == pytest.approx(1024 * 1024, rel=0.1)


# The command line


def test_stress_writes_a_profile_and_report_shows_it(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    for path, seconds in ((old, 0.001), (new, 0.05)):
        inputs = tmp_path / "inputs.jsonl"
        inputs.write_text(f'{{"seconds": {seconds}}}')
        done = run(
            *("stress", "--bridge", "bridge.echo", "--command", "sleep", "--size", "1"),
            *("--overflow", "0", "--concurrency", "1", "--inputs", inputs),
            *("--operations", "30", "--profile", path),
        )
        assert "30 successful" in done
    assert "30 calls of 1 command in" in run("report", old, "--format", "line")
    # Other figures may be better or worse by chance, on a busy machine.
    median = re.compile(r"sleep +call P50")
    assert median.search(run("report", old, new, status=1).partition("Better")[0])
    assert median.search(run("report", new, old, status=None).partition("Better")[2])
    page = tmp_path / "new.html"
    assert run("report", new, "--output", page) == ""
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "slow, sleep" in run("report", new, "--slow", "0.01")


def test_files_that_are_no_profiles(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[1, 2]")
    assert "it is not a profile" in run("report", other, status=1)
    assert "has to end with" in run("stress", "--profile", "run.png", status=2)
    assert "no folder" in run("stress", "--profile", tmp_path / "no" / "run.json", status=2)


def run(*arguments: object, status: int | None = 0) -> str:
    """The command `bridgepool`, in this process; its status does not matter if that is None."""
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert status is None or done.exit_code == status, done.output
    return done.output


def test_the_command_line_needs_no_extra() -> None:
    assert "ddsketch" in sys.modules  # by the tests, so it is asked in another process
    code = "import sys, pool.cli; sys.exit(not {*sys.modules}.isdisjoint(['ddsketch', 'numpy']))"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0
