"""The real pool over scripted children, and the children themselves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from pool import (
    BrokenWorkerError,
    CallTimeout,
    EnvironmentInvalid,
    PoolTimeout,
    ProtocolError,
    RemoteError,
    WorkerStartError,
)
from pool.testing import (
    Child,
    Misbehaving,
    Obedient,
    Request,
    Script,
    ScriptedLauncher,
    ScriptedPool,
    Vices,
    run,
)
from pool.testing.vices import CALL, CHARACTER, START

Main = Callable[[], Coroutine[Any, Any, Any]]


def now() -> float:
    return asyncio.get_running_loop().time()


# A pool


@pytest.mark.parametrize("seed", [None, *range(5)])
def test_a_hundred_calls_and_some_kills(seed: int | None) -> None:
    launcher = ScriptedLauncher(lambda: Obedient(call_time=0.05), seed=seed)

    async def main() -> float:
        began = now()
        async with ScriptedPool(launcher, size=4) as pool:
            calls = [
                asyncio.ensure_future(pool.call("echo", {"i": i}, idempotent=True))
                for i in range(100)
            ]
            for _ in range(5):
                await asyncio.sleep(0.2)
                launcher.living[0].exit(-9)
            assert await asyncio.gather(*calls) == [{"i": i} for i in range(100)]
        launcher.assert_nothing_left()
        assert len(launcher.children) == 9
        return now() - began

    assert 1.3 < run(main(), seed=seed) < 2.5


def test_one_seed_is_one_story() -> None:
    def story(seed: int) -> list[tuple[float, str, int]]:
        launcher = ScriptedLauncher(lambda: Obedient(call_time=0.05), seed=seed)
        told: list[tuple[float, str, int]] = []

        async def call(pool: ScriptedPool, number: int) -> None:
            async with pool.checkout() as worker:
                await worker.call("echo")
                told.append((now(), worker.name, number))

        async def main() -> None:
            async with ScriptedPool(launcher, seed=seed, size=3) as pool:
                await asyncio.gather(*(call(pool, number) for number in range(12)))

        run(main(), seed=seed)
        return told

    assert story(1) == story(1)
    assert len({tuple(story(seed)) for seed in range(5)}) == 5


def test_it_runs_on_an_ordinary_loop_too() -> None:
    launcher = ScriptedLauncher(Obedient, seed=1)

    async def main() -> object:
        async with ScriptedPool(launcher) as pool:
            return await pool.call("echo", {"a": 1})

    assert asyncio.run(main()) == {"a": 1}
    launcher.assert_nothing_left()


def test_the_pools_limit_of_a_frame_holds() -> None:
    launcher = ScriptedLauncher(lambda: Obedient({"much": lambda _: "x" * 5000}))

    async def main() -> None:
        async with ScriptedPool(launcher, max_frame_bytes=4096) as pool:
            with pytest.raises(ProtocolError, match="over the limit of 4096 bytes"):
                await pool.call("much")

    run(main())


def test_a_bug_in_a_script_ends_the_run() -> None:
    class Buggy(Script):
        def requested(self, child: Child, request: Request) -> None:
            raise NotImplementedError("what to do with it")

    async def main() -> None:
        async with ScriptedPool(ScriptedLauncher(Buggy)) as pool:
            await pool.call("echo")

    with pytest.raises(NotImplementedError):
        run(main())


# The launcher


def test_nothing_left_says_what_is_left() -> None:
    async def main() -> None:
        launcher = ScriptedLauncher(Obedient)
        await launcher.launch("one")
        two = await launcher.launch("two")
        launcher.children[1].exit(0)
        two.link.close()
        two.stderr.close()
        with pytest.raises(AssertionError) as caught:
            launcher.assert_nothing_left()
        assert str(caught.value).splitlines()[1:] == [
            "the launcher was not closed",
            "one (pid 5000000) is still alive",
            "one (pid 5000000) has a stdin that was not closed",
            "one (pid 5000000) has a stdout that was not closed",
            "one (pid 5000000) has a stderr that was not closed",
            "two (pid 5000001) has ended and was not waited for",
        ]

    run(main())


def test_a_cancelled_launch_leaves_no_child() -> None:
    class Slow(Obedient):
        launch_time = 60.0

    async def main() -> None:
        launcher = ScriptedLauncher(Slow)
        launching = asyncio.ensure_future(launcher.launch("slow"))
        await asyncio.sleep(30.0)
        with pytest.raises(AssertionError, match="slow is still being launched"):
            launcher.assert_nothing_left()
        launching.cancel()
        await asyncio.wait([launching])
        await launcher.aclose()
        assert launcher.children == []
        launcher.assert_nothing_left()

    run(main())


def test_an_environment_that_is_unfit_at_first() -> None:
    outcomes: list[list[str] | Exception] = [["no module"], OSError("too many files"), []]
    launcher = ScriptedLauncher(Obedient, validations=outcomes, validation_time=2.0)

    async def main() -> None:
        began = now()
        async with ScriptedPool(launcher) as pool:
            with pytest.raises(EnvironmentInvalid, match="no module"):
                await pool.call("echo")
            with pytest.raises(EnvironmentInvalid, match="too many files"):
                await pool.call("echo")
            assert await pool.call("echo") == {}
            assert now() - began >= 6.0

    run(main())


@pytest.mark.parametrize(("method", "after"), [("spawn", 2), ("forkserver", 1)])
def test_reverting_a_generation(method: Any, after: int) -> None:
    async def main() -> int:
        launcher = ScriptedLauncher(Obedient, start_method=method)
        launcher.revert()
        await launcher.validate()
        await launcher.validate()
        launcher.revert()
        launcher.revert()
        return launcher.generation

    assert run(main()) == after


def test_a_lost_template() -> None:
    launcher = ScriptedLauncher(Obedient, start_method="forkserver", validation_time=1.0)

    async def main() -> None:
        async with ScriptedPool(launcher, size=1) as pool:
            await pool.call("echo")
            launcher.lose_template()
            assert await pool.call("echo") == {}
            launcher.children[0].exit(3)
            await pool.call("echo")
            assert pool.stats().generation == 2
            assert pool.stats().worker_exits["template_lost"] == 1

    run(main())


# An obedient child


def calling(launcher: ScriptedLauncher, command: str, args: object = None) -> Main:
    async def main() -> object:
        async with ScriptedPool(launcher, size=1) as pool:
            return await pool.call(command, args)

    return main


def test_commands_of_ones_own() -> None:
    launcher = ScriptedLauncher(lambda: Obedient({"add": lambda args: args["a"] + args["b"]}))
    assert run(calling(launcher, "add", {"a": 1, "b": 2})()) == 3
    assert [request.command for request in launcher.children[0].requests] == [
        "ping",
        "add",
        "shutdown",
    ]


@pytest.mark.parametrize(
    ("command", "error_type"), [("add", "KeyError"), ("multiply", "UnknownCommand")]
)
def test_commands_that_fail(command: str, error_type: str) -> None:
    launcher = ScriptedLauncher(lambda: Obedient({"add": lambda args: args["a"] + args["b"]}))
    with pytest.raises(RemoteError) as caught:
        run(calling(launcher, command)())
    assert caught.value.error_type == error_type


def test_it_takes_its_time() -> None:
    launcher = ScriptedLauncher(lambda: Obedient(start_time=3.0, call_time=0.5), lag=0.0)

    async def main() -> list[float]:
        times = [now()]
        async with ScriptedPool(launcher, size=1) as pool:
            for command, args in (("echo", {}), ("echo", {}), ("sleep", {"seconds": 7.0})):
                await pool.call(command, args)
                times.append(now())
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    assert run(main()) == pytest.approx([3.5, 0.5, 7.0])


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (lambda child: child.process.terminate(), 5.0),
        (lambda child: child.stdin.close_writer(), 1.8),
        (lambda child: child.process.kill(), 1.0),
    ],
)
def test_how_a_busy_child_ends(end: Callable[[Child], None], after: float) -> None:
    async def main() -> float:
        launcher = ScriptedLauncher(Obedient, lag=0.0)
        launched = await launcher.launch("child")
        child = launcher.children[0]
        began = now()
        child.script.requested(child, Request(1, "sleep", {"seconds": 5.0}))
        child.later(1.0, lambda: None)
        asyncio.get_running_loop().call_later(1.0, end, child)
        await launched.process.exited
        return now() - began

    assert run(main()) == pytest.approx(after)


# Stopped children


def test_a_stopped_child_goes_on_where_it_was() -> None:
    async def main() -> list[float]:
        launcher = ScriptedLauncher(Obedient, lag=0.0)
        seen: list[float] = []
        await launcher.launch("child")
        child, began = launcher.children[0], now()
        for seconds in (1.0, 2.0, 3.0, 9.0):
            child.later(seconds, lambda: seen.append(now() - began))
        await asyncio.sleep(1.5)
        child.stop(4.0)
        await asyncio.sleep(20.0)
        child.exit(0)
        return seen

    assert run(main()) == [1.0, 5.5, 5.5, 9.0]


def test_a_child_that_was_killed_does_not_go_on() -> None:
    async def main() -> bool:
        launcher = ScriptedLauncher(Obedient, lag=1.0)
        launched = await launcher.launch("child")
        seen: list[bool] = []
        launcher.children[0].later(0.5, seen.append, True)
        launched.process.kill()
        launcher.children[0].cont()
        await launched.process.exited
        return seen == []

    assert run(main())


# Vices


def misbehaving(**chances: float) -> ScriptedLauncher:
    random = Random(0)
    return ScriptedLauncher(
        lambda: Misbehaving(random, Vices.only(**chances), call_time=0.1, start_time=0.1), seed=0
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
}


def test_each_vice_is_tried() -> None:
    assert set(WHAT_A_CALL_ENDS_WITH) == {*START, *CALL}
    assert {*START, *CALL, *CHARACTER} == set(Vices.__dataclass_fields__)


@pytest.mark.parametrize("vice", WHAT_A_CALL_ENDS_WITH)
def test_what_a_vice_comes_to(vice: str) -> None:
    launcher = misbehaving(**{vice: 1.0})
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
    launcher = misbehaving(**{vice: 1.0})

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
