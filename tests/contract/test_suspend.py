"""SIGSTOP and SIGCONT: of all, for longer than every deadline; of one worker; of the template."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from typing import Any

import pytest

from pool import CallTimeout, WorkerPool
from tests.contract.pools import LAUNCHERS, make_pool, until
from tests.contract.suspended import START_DEADLINE
from tests.processes import children, go_on, kill_all, marked, stop

METHODS = ["spawn", "forkserver"]
STOP = START_DEADLINE + 0.5
"""Seconds, longer than every deadline of the application."""

LATER = 0.2
"""Seconds after the application at which its children go on: what they owe is not there yet."""


# Everything


class Application:
    """A process that runs pools, and all its descendants."""

    def __init__(self, method: str) -> None:
        self._mark = f"BRIDGEPOOL_TEST_SUSPENDED={method}-{os.getpid()}"
        name, _, value = self._mark.partition("=")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.suspended", method],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value},
        )
        self.pid = self._process.pid

    @property
    def descendants(self) -> set[int]:
        return marked(self._mark) - {self.pid}

    def read(self) -> Any:
        """What it prints next."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def wake(self) -> None:
        """Let it go on; it finds a line to read."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        go_on(self.pid)

    def close(self) -> None:
        """Wait for its end, which comes by itself once it has told all."""
        try:
            self._process.wait(START_DEADLINE)
        finally:
            kill_all({self.pid, *self.descendants})
            self._process.communicate()


def suspend(applications: list[Application]) -> list[dict[str, Any]]:
    """Stop them as soon as all their pools are in their situations; return what came of those."""
    for one in applications:
        victim = one.read()
        stop(one.pid)
        stop(*one.descendants)
        os.kill(victim, signal.SIGKILL)
    time.sleep(STOP)
    for one in applications:
        one.wake()
    time.sleep(LATER)
    for one in applications:
        go_on(*one.descendants)
    return [one.read() for one in applications]


@pytest.fixture(scope="module")
def stories() -> dict[str, dict[str, Any]]:
    """What became of each situation, by start method."""
    with ExitStack() as stack:
        applications = [stack.enter_context(closing(Application(method))) for method in METHODS]
        return dict(zip(METHODS, suspend(applications), strict=True))


@pytest.fixture(params=METHODS)
def story(request: pytest.FixtureRequest, stories: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return stories[request.param]


def untouched(told: dict[str, Any], *, started: int) -> bool:
    """Whether no worker has ended, and so many were started."""
    return (told["worker_starts"], told["worker_exits"]) == (started, {})


def test_calls_in_flight_and_calls_that_wait_succeed(story: dict[str, Any]) -> None:
    told = story["calling"]
    assert told["result"] == [{"slept": 0.4}] * 2 + [{"i": i} for i in range(8)]
    assert untouched(told, started=2)


def test_no_ping_is_overdue(story: dict[str, Any]) -> None:
    told = story["pinging"]
    assert told["result"] == 2
    assert untouched(told, started=2)


def test_starts_are_waited_for(story: dict[str, Any]) -> None:
    told = story["starting"]
    assert told["result"] == 3
    assert untouched(told, started=3)


def test_an_import_is_waited_for(story: dict[str, Any]) -> None:
    told = story["importing"]
    assert told["result"] == {"a": 1}
    assert untouched(told, started=1)
    assert told["validations"] == {"ok": 1}


def test_a_worker_that_died_meanwhile_costs_no_call(story: dict[str, Any]) -> None:
    told = story["bereft"]
    dead, *served = told["result"]
    assert dead not in served
    assert sum(told["worker_exits"].values()) == 1
    assert set(told["calls"]) == {"ok"}


# One worker


def each_launcher(test: Any) -> Any:
    return pytest.mark.parametrize("launcher", LAUNCHERS)(test)


async def whole_again(pool: WorkerPool, without: int | None, reason: str) -> None:
    """Wait for two workers, one of them new, and see them serve."""
    stats = await until(pool, lambda stats: bool(stats.worker_exits) and stats.idle == 2)
    assert (stats.worker_exits, stats.worker_starts) == ({reason: 1}, 3)
    assert without not in {worker.pid for worker in stats.workers}
    assert await pool.call("echo", {"a": 1}) == {"a": 1}


@each_launcher
async def test_an_idle_one_is_found_by_a_ping(launcher: str) -> None:
    async with make_pool(launcher, ping_interval=0.1, ping_timeout=0.3) as pool:
        await pool.wait_ready()
        victim = pool.stats().workers[0].pid or 0
        stop(victim)
        await whole_again(pool, without=victim, reason="ping")


@each_launcher
async def test_a_busy_one_is_found_by_the_deadline_of_its_call(launcher: str) -> None:
    async with make_pool(launcher, late_reply_timeout=0.2) as pool:
        await pool.wait_ready()
        async with pool.checkout() as worker:
            call = asyncio.ensure_future(worker.call("sleep", {"seconds": 0.1}, timeout=0.3))
            await until(pool, lambda stats: stats.inflight_calls == 1)
            stop(worker.pid or 0)
            with pytest.raises(CallTimeout, match=r"did not answer within 0\.3 s"):
                await call
        await whole_again(pool, without=worker.pid, reason="timeout")


@each_launcher
async def test_one_that_goes_on_in_time_keeps_its_call_and_its_place(launcher: str) -> None:
    async with make_pool(launcher, ping_interval=0.05, late_reply_timeout=10.0) as pool:
        await pool.wait_ready()
        workers = [worker.pid or 0 for worker in pool.stats().workers]
        calls = [asyncio.ensure_future(pool.call("sleep", {"seconds": 0.1})) for _ in workers]
        await until(pool, lambda stats: stats.inflight_calls == 2)
        stop(*workers)
        go_on(*workers)
        assert await asyncio.gather(*calls) == [{"slept": 0.1}] * 2

        stop(*workers)
        stats = await until(pool, lambda stats: stats.inflight_calls == 2)  # pings
        answered = stats.pings.get("ok", 0)
        go_on(*workers)
        await until(pool, lambda stats: stats.pings.get("ok", 0) >= answered + 2)

        stop(*workers)
        with pytest.raises(CallTimeout):
            await pool.call("echo", timeout=0.1)
        go_on(*workers)
        await until(pool, lambda stats: stats.late_replies == 1 and stats.idle == 2)
        assert (pool.stats().worker_starts, pool.stats().worker_exits) == (2, {})


# The template


async def test_while_the_template_is_stopped_workers_serve_and_starts_wait() -> None:
    async with make_pool("forkserver") as pool:
        async with pool.checkout() as one, pool.checkout() as another:
            victim, other = [(await worker.call("pid"))["pid"] for worker in (one, another)]
        (template,) = children()
        stop(template)
        os.kill(victim, signal.SIGKILL)
        await until(pool, lambda stats: stats.starting == 1)
        assert (await pool.call("pid"))["pid"] == other
        go_on(template)
        stats = await until(pool, lambda stats: stats.idle == 2)
        assert [worker.generation for worker in stats.workers] == [1, 1]
        assert (stats.worker_starts, stats.failed_starts) == (3, 0)
