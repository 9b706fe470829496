"""The whole pool among children that misbehave, one story for each seed.

To see a seed that failed once more: `pytest tests/unit/test_simulation.py -k "[7]"`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from pool import PoolError
from pool.retries import MAX_PAUSE
from pool.testing import (
    Misbehaving,
    Obedient,
    ScriptedLauncher,
    ScriptedPool,
    Vices,
    run,
)

CALLERS, CALLS = 8, 5


class Story:
    """Some callers, each making some calls, some of which are cancelled; then the pool is closed.

    `outcomes` are told for each call as it ends; `turns` are counted.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.outcomes: dict[tuple[int, int], str] = {}
        self.turns = 0
        self.launcher = ScriptedLauncher(
            lambda: Misbehaving(self.random, Vices(), start_time=0.2, call_time=0.05),
            seed=seed,
            start_method=self.random.choice(["spawn", "forkserver"]),
            validation_time=0.5,
        )

    def tell(self) -> None:
        run(self._main(), seed=self.seed, on_turn=self._count_turn)

    def _count_turn(self) -> None:
        self.turns += 1

    async def _main(self) -> None:
        pool = self._make_pool()
        await pool.open()
        try:
            await asyncio.gather(*(self._caller(pool, number) for number in range(CALLERS)))
        finally:
            await self.random.choice([pool.aclose, pool.drain, pool.terminate])()
        self.launcher.assert_nothing_left()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(self.outcomes) == CALLERS * CALLS

    def _make_pool(self) -> ScriptedPool:
        choice = self.random.choice
        return ScriptedPool(
            self.launcher,
            seed=self.seed,
            size=choice([1, 2, 4]),
            overflow=choice([0, 2]),
            spares=choice([0, 1]),
            min_ready=choice([0, 1]),
            max_waiting=choice([3, 1000]),
            idle_timeout=choice([None, 2.0]),
            start_timeout=5.0,
            late_reply_timeout=2.0,
            grace_period=1.0,
            ping_interval=3.0,
            ping_timeout=1.0,
        )

    async def _caller(self, pool: ScriptedPool, caller: int) -> None:
        for number in range(CALLS):
            await asyncio.sleep(0.1 * self.random.randrange(10))
            timeout = self.random.choice([0.1, 0.5, 1.0, 5.0, 20.0])
            args = {"caller": caller, "number": number}
            began = asyncio.get_running_loop().time()
            outcome = await self._outcome_of(self._call(pool, args, timeout), args)
            took = asyncio.get_running_loop().time() - began
            assert took <= 2 * timeout + MAX_PAUSE, f"{args} took {took} s of {timeout}"
            assert (caller, number) not in self.outcomes
            self.outcomes[caller, number] = outcome

    async def _call(self, pool: ScriptedPool, args: dict[str, int], timeout: float) -> Any:
        if self.random.random() < 0.7:
            again = self.random.random() < 0.3
            return await pool.call("echo", args, timeout=timeout, idempotent=again)
        async with pool.checkout(timeout=timeout) as worker:
            return await worker.call("echo", args, timeout=timeout)

    async def _outcome_of(self, call: Coroutine[Any, Any, Any], args: dict[str, int]) -> str:
        task = asyncio.ensure_future(call)
        if self.random.random() < 0.2:
            delay = 0.1 * self.random.randrange(10)
            asyncio.get_running_loop().call_later(delay, task.cancel)
        try:
            result = await task
        except asyncio.CancelledError:
            return "cancelled"
        except PoolError as error:
            return type(error).__name__
        assert result in (args, 42, {"error": "it failed"}), f"{result} is not for {args}"
        return "ok"


@pytest.mark.parametrize("seed", range(50))
def test_every_call_ends_once_and_nothing_is_left(seed: int) -> None:
    Story(seed).tell()


def test_a_seed_tells_the_same_story_again() -> None:
    for seed in range(10):
        one, again = Story(seed), Story(seed)
        one.tell()
        again.tell()
        assert (one.outcomes, one.turns) == (again.outcomes, again.turns)


def test_the_stories_have_everything_in_them() -> None:
    ends: Counter[str] = Counter()
    for seed in range(50):
        story = Story(seed)
        story.tell()
        ends += Counter(story.outcomes.values())
    told = {"ok", "cancelled", "PoolTimeout", "CallTimeout", "BrokenWorkerError", "ProtocolError"}
    assert told <= set(ends)
    assert ends["ok"] > ends.total() / 2


# Each of these was found by a seed.


def test_a_call_that_is_made_again_ends_by_its_deadline() -> None:
    random = Random(0)
    launcher = ScriptedLauncher(lambda: Misbehaving(random, Vices.only(dies_on_reading=1.0)))

    async def main() -> None:
        async with ScriptedPool(launcher) as pool:
            await pool.wait_ready()
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await pool.call("echo", timeout=0.01, idempotent=True)
            assert asyncio.get_running_loop().time() - began <= 0.0101

    run(main())


def test_closing_may_be_cancelled_at_any_moment() -> None:
    launcher = ScriptedLauncher(Obedient, lag=1.0)

    async def main() -> None:
        pool = ScriptedPool(launcher)
        await pool.open()
        closing = asyncio.ensure_future(pool.terminate())
        await asyncio.sleep(0.5)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        launcher.assert_nothing_left()

    run(main())


def test_who_was_given_a_dead_worker_gets_the_idle_one() -> None:
    scripts = [Obedient(), Obedient()]
    launcher = ScriptedLauncher(lambda: scripts.pop() if scripts else Obedient(start_time=60.0))

    async def main() -> float:
        async with ScriptedPool(launcher) as pool, AsyncExitStack() as one, AsyncExitStack() as two:
            lease = await one.enter_async_context(pool.checkout())
            await two.enter_async_context(pool.checkout())
            waiting = asyncio.ensure_future(pool.call("echo"))
            await asyncio.sleep(1.0)
            began = asyncio.get_running_loop().time()
            # All in one step, so that nobody has noticed the death when the turn is handed over.
            next(child for child in launcher.children if child.pid == lease.pid).exit(1)
            await one.aclose()
            await two.aclose()
            await waiting
            return asyncio.get_running_loop().time() - began

    assert run(main()) < 1.0
