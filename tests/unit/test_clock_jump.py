"""All of us are stopped for a while and go on: what had time left before has it still.

After each jump the children go on a little later than the pool does, which is
the worse order of the two: what they owe is not there when the pool looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pool import CallTimeout, PoolClosed, PoolState, PoolTimeout, WorkerStartError
from pool.testing import Obedient, Request, ScriptedLauncher, ScriptedPool, VirtualLoop, run

JUMPS = [10.0, 864_000.0]
AFTER = 0.4
"""Seconds after the pool at which the children go on."""

each_jump = pytest.mark.parametrize("seconds", JUMPS)


def loop() -> VirtualLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


def suspend(launcher: ScriptedLauncher, seconds: float) -> None:
    """Stop all for so many seconds."""
    for child in launcher.living:
        child.stop(seconds + AFTER)
    loop().jump(seconds)


def play(
    launcher: ScriptedLauncher,
    story: Callable[[ScriptedPool], Coroutine[Any, Any, None]],
    **options: Any,
) -> None:
    """Tell a story of a pool in virtual time; nothing may be left of it."""

    async def main() -> None:
        async with ScriptedPool(launcher, **options) as pool:
            await story(pool)
        launcher.assert_nothing_left()

    run(main(), limit=1e7)


def sleep_on(pool: ScriptedPool, seconds: float, timeout: float) -> asyncio.Task[Any]:
    """Begin a call that takes so long."""
    return asyncio.ensure_future(pool.call("sleep", {"seconds": seconds}, timeout=timeout))


def untouched(pool: ScriptedPool, *, started: int) -> bool:
    """Whether no worker has ended, and so many were started."""
    stats = pool.stats()
    return (stats.worker_starts, stats.worker_exits) == (started, {})


@each_jump
def test_calls_in_flight_end_with_their_results(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        calls = [sleep_on(pool, 0.5, timeout=1.0) for _ in range(2)]
        await asyncio.sleep(0.25)
        suspend(launcher, seconds)
        assert await asyncio.gather(*calls) == [{"slept": 0.5}] * 2
        assert untouched(pool, started=2)

    play(launcher, story)


@each_jump
def test_calls_in_flight_do_expire_when_their_own_time_is_over(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        began = loop().time()
        call = sleep_on(pool, 9e5, timeout=1.0)
        await asyncio.sleep(0.25)
        suspend(launcher, seconds)
        with pytest.raises(CallTimeout):
            await call
        # What had passed since the clock was last looked at is counted again.
        assert 1.0 <= loop().time() - began - seconds <= 1.25 + 0.01

    play(launcher, story, late_reply_timeout=0.1)


@each_jump
def test_who_waits_in_the_queue_is_served(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        calls = [sleep_on(pool, 0.25, timeout=2.0) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert pool.stats().waiting == 3
        suspend(launcher, seconds)
        assert await asyncio.gather(*calls) == [{"slept": 0.25}] * 4
        assert untouched(pool, started=1)

    play(launcher, story, size=1, checkout_timeout=2.0)


@each_jump
def test_a_lease_waits_for_its_turn(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout() as worker:
            calls = [
                asyncio.ensure_future(worker.call("sleep", {"seconds": 0.25}, timeout=1.5))
                for _ in range(3)
            ]
            await asyncio.sleep(0.1)
            suspend(launcher, seconds)
            assert await asyncio.gather(*calls) == [{"slept": 0.25}] * 3

    play(launcher, story, size=1)


@each_jump
def test_a_ping_is_waited_for(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        launcher.children[0].stop()
        await asyncio.sleep(5.2)
        assert pool.stats().pings == {"ok": 1}, "one was to be under way"
        suspend(launcher, seconds)
        await asyncio.sleep(4.0)
        assert pool.stats().pings == {"ok": 2}
        assert untouched(pool, started=2)

    play(launcher, story, ping_interval=5.0, ping_timeout=1.0)


@each_jump
def test_a_worker_that_does_not_go_on_is_found_by_a_ping(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        loop().jump(seconds)
        launcher.children[0].stop()
        await asyncio.sleep(10.0)
        assert pool.stats().worker_exits == {"ping": 1}
        assert pool.stats().idle == 2

    play(launcher, story, ping_interval=5.0, ping_timeout=0.5)


@each_jump
def test_a_late_reply_is_waited_for(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        with pytest.raises(CallTimeout):
            await pool.call("sleep", {"seconds": 1.0}, timeout=0.5)
        suspend(launcher, seconds)
        await asyncio.sleep(AFTER + 0.1)
        assert pool.stats().late_replies == 1
        assert await pool.call("echo", {"a": 1}) == {"a": 1}

    # As soon as the late reply is there, whoever replaces the worker is one too many.
    play(launcher, story, size=1, late_reply_timeout=1.0)


@each_jump
def test_a_start_is_waited_for(seconds: float) -> None:
    launcher = ScriptedLauncher(lambda: Obedient(start_time=0.5))

    async def story(pool: ScriptedPool) -> None:
        call = asyncio.ensure_future(pool.call("echo", {"a": 1}))
        await asyncio.sleep(0.25)
        assert pool.stats().starting == 1
        suspend(launcher, seconds)
        assert await call == {"a": 1}
        assert untouched(pool, started=1)

    play(launcher, story, start_timeout=1.0, checkout_timeout=2.0)


@each_jump
def test_whoever_waits_for_workers_waits_on(seconds: float) -> None:
    launcher = ScriptedLauncher(lambda: Obedient(start_time=0.5))

    async def story(pool: ScriptedPool) -> None:
        waiting = asyncio.ensure_future(pool.wait_ready(timeout=1.0))
        await asyncio.sleep(0.25)
        suspend(launcher, seconds)
        await waiting

    play(launcher, story)


@each_jump
def test_a_back_off_lasts_as_long_as_it_was_to(seconds: float) -> None:
    scripts = iter([FailsToStart(), FailsToStart()])
    launcher = ScriptedLauncher(lambda: next(scripts, Obedient()))

    async def story(pool: ScriptedPool) -> None:
        with pytest.raises(WorkerStartError):
            await pool.call("echo")
        await asyncio.sleep(5.0)
        suspend(launcher, seconds)
        for _ in range(2):
            with pytest.raises(WorkerStartError, match="crash loop"):
                await pool.call("echo")
            await asyncio.sleep(4.0)
        assert pool.stats().state is PoolState.FAILED
        await asyncio.sleep(4.0)
        assert await pool.call("echo", {"a": 1}) == {"a": 1}

    play(launcher, story, size=1, max_restarts=1)


class FailsToStart(Obedient):
    def started(self, child: Any) -> None:
        child.exit(3)


@each_jump
def test_idle_workers_stay_for_their_time(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        await asyncio.sleep(2.0)
        suspend(launcher, seconds)
        await asyncio.sleep(2.5)
        assert untouched(pool, started=2)
        await asyncio.sleep(2.5)
        assert pool.stats().worker_exits == {"idle": 2}

    play(launcher, story, idle_timeout=5.0)


@each_jump
def test_workers_do_not_age(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        suspend(launcher, seconds)
        await asyncio.sleep(80.0)
        assert untouched(pool, started=2)
        await asyncio.sleep(30.0)
        assert pool.stats().worker_exits == {"recycled_age": 2}
        assert pool.stats().idle == 2

    play(launcher, story, max_age=100.0)


class Defines(Obedient):
    """Its commands define what other workers must know."""

    def members(self, request: Request) -> dict[str, Any]:
        return {"define": {"key": "k", "version": "1", "definition": {}}}


@each_jump
@pytest.mark.parametrize(("later", "is_known"), [(1800.0, True), (3700.0, False)])
def test_sessions_expire_only_by_time_in_which_they_could_be_used(
    seconds: float, later: float, is_known: bool
) -> None:
    launcher = ScriptedLauncher(lambda: Defines(capabilities=["define"]))

    async def story(pool: ScriptedPool) -> None:
        await pool.call("echo")
        await asyncio.sleep(200.0)  # nothing has a deadline any more, the start included
        suspend(launcher, seconds)
        await asyncio.sleep(later)
        async with pool.checkout(), pool.checkout() as other:
            await other.call("echo")
        first_call = launcher.children[1].requests[1]
        assert ("define" in first_call.others) is is_known

    play(launcher, story, ping_interval=None)


@each_jump
def test_a_lease_is_not_reported_before_it_was_used_for_so_long(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout():
            suspend(launcher, seconds)
            await asyncio.sleep(4.0)
            assert pool.stats().leaks == 0
            await asyncio.sleep(2.0)
            assert pool.stats().leaks == 1

    with caplog.at_level(logging.CRITICAL):
        play(launcher, story, leak_threshold=5.0)


@each_jump
def test_workers_that_died_meanwhile_cost_no_call(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        for child in launcher.living:
            child.exit(-9)
        loop().jump(seconds)
        calls = [pool.call("echo", {"i": i}, timeout=1.0) for i in range(4)]
        assert await asyncio.gather(*calls) == [{"i": i} for i in range(4)]
        assert pool.stats().worker_exits == {"signal": 2}

    play(launcher, story, checkout_timeout=1.0)


@each_jump
def test_a_wait_in_the_queue_ends_when_its_own_time_is_over(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout():
            began = loop().time()
            waiting = asyncio.ensure_future(pool.call("echo"))
            await asyncio.sleep(0.25)
            suspend(launcher, seconds)
            with pytest.raises(PoolTimeout):
                await waiting
            assert 1.0 <= loop().time() - began - seconds <= 1.25 + 0.01

    play(launcher, story, size=1, checkout_timeout=1.0)


# Closing


@each_jump
def test_a_call_that_runs_while_the_pool_closes_has_its_grace(seconds: float) -> None:
    launcher = ScriptedLauncher(Obedient)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        call = sleep_on(pool, 0.5, timeout=5.0)
        await asyncio.sleep(0.1)
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0.1)
        suspend(launcher, seconds)
        assert await call == {"slept": 0.5}
        await closing
        assert [child.returncode for child in launcher.children] == [0, 0]

    play(launcher, story, grace_period=1.0)


class SlowToLeave(Obedient):
    """Exits half a second after SIGTERM, and for nothing else."""

    def answer(self, child: Any, request: Request) -> None:
        if request.command != "shutdown":
            super().answer(child, request)

    def end_of_file(self, child: Any) -> None:
        pass

    def terminated(self, child: Any) -> None:
        child.later(0.5, child.exit, 0)


@each_jump
def test_each_step_of_closing_has_its_time(seconds: float) -> None:
    launcher = ScriptedLauncher(SlowToLeave)

    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(2.1)  # two steps of a second were of no use
        suspend(launcher, seconds)
        await closing
        assert [child.returncode for child in launcher.children] == [0, 0]
        with pytest.raises(PoolClosed):
            await pool.call("echo")

    play(launcher, story, grace_period=1.0)
