"""Each vice of a scripted child, and what it comes to."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pool import (
    BrokenWorkerError,
    CallTimeout,
    PoolTimeout,
    ProtocolError,
    WorkerStartError,
)
from pool.testing import Misbehaving, ScriptedLauncher, ScriptedPool, Vices, run
from pool.testing.vices import CALL, CHARACTER, START


def misbehaving(seed: int = 0, **chances: float) -> ScriptedLauncher:
    random, vices = Random(seed), Vices.only(**chances)
    return ScriptedLauncher(
        lambda: Misbehaving(random, vices, call_time=0.1, start_time=0.1), seed=seed
    )


WHAT_A_CALL_ENDS_WITH: dict[str, object] = {
    "launch_fails": WorkerStartError,
    "launch_is_slow": {"a": 1},
    "slow_start": {"a": 1},
    "never_ready": PoolTimeout,
    "exits_at_start": WorkerStartError,
    "start_fails": WorkerStartError,
    "dies_on_reading": BrokenWorkerError,
    "dies_running": BrokenWorkerError,
    "dies_half_way": BrokenWorkerError,
    "dies_after": {"a": 1},
    "never_answers": CallTimeout,
    "answers_late": CallTimeout,
    "answers_twice": {"a": 1},
    "wrong_id": ProtocolError,
    "garbage": ProtocolError,
    "oversized": ProtocolError,
    "closes_stdout": BrokenWorkerError,
    "closes_stdin": {"a": 1},
    "stops_reading": CallTimeout,
    "error_in_success": {"error": "it failed"},
    "bare_result": 42,
    # Nothing but to streams, or to batches:
    "ignores_credit": {"a": 1},
    "too_few_results": {"a": 1},
    "too_many_results": {"a": 1},
    "senseless_failures": {"a": 1},
    "item_after_reply": {"a": 1},
    "item_of_nothing": ProtocolError,
}


def test_each_vice_is_tried() -> None:
    assert {*WHAT_A_CALL_ENDS_WITH} == {*START, *CALL}
    assert {*START, *CALL, *CHARACTER} == set(Vices.__dataclass_fields__)


@pytest.mark.parametrize("vice", WHAT_A_CALL_ENDS_WITH)
def test_what_a_vice_comes_to(vice: str) -> None:
    launcher = misbehaving(0, **{vice: 1.0})
    expected = WHAT_A_CALL_ENDS_WITH[vice]

    async def main() -> object:
        timeout = 0.15 if expected is CallTimeout else 20.0
        async with ScriptedPool(launcher, size=1, start_timeout=15.0, grace_period=1.0) as pool:
            if vice not in START:
                await pool.wait_ready()
            result: object = await pool.call("echo", {"a": 1}, timeout=timeout)
            return result

    if isinstance(expected, type) and issubclass(expected, Exception):
        with pytest.raises(expected):
            run(main(), seed=0)
    else:
        assert run(main(), seed=0) == expected
    launcher.assert_nothing_left()


@pytest.mark.parametrize("vice", CHARACTER)
def test_no_character_survives_the_pool(vice: str) -> None:
    launcher = misbehaving(0, **{vice: 1.0})

    async def main() -> None:
        async with ScriptedPool(launcher, size=2, grace_period=1.0) as pool:
            await pool.wait_ready()
            for number in range(20):
                args = {"number": number}
                assert await pool.call("echo", args, idempotent=True) == args
        launcher.assert_nothing_left()

    run(main(), seed=0)


def test_a_probability_is_one() -> None:
    with pytest.raises(ValueError, match=r"garbage=2\.0 is no probability"):
        Vices(garbage=2.0)
    with pytest.raises(ValueError, match="add up to more than 1"):
        Vices.only(garbage=0.6, oversized=0.6)


def test_a_crash_loop() -> None:
    launcher = misbehaving(exits_at_start=1.0)

    async def main() -> None:
        async with ScriptedPool(launcher, max_restarts=3) as pool:
            with pytest.raises(WorkerStartError, match="told to end before it is ready"):
                await pool.call("echo", timeout=100.0)

    run(main(), seed=0)


def test_the_pools_own_chance_has_a_seed() -> None:
    def ends_at(seed: int) -> float:
        launcher = misbehaving(dies_on_reading=1.0)

        async def main() -> float:
            async with ScriptedPool(launcher, seed=seed) as pool:
                with pytest.raises(BrokenWorkerError):
                    await pool.call("echo", idempotent=True)
                return asyncio.get_running_loop().time()

        return run(main())

    assert ends_at(1) == ends_at(1) != ends_at(2)
