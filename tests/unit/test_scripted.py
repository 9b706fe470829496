"""The real pool over scripted children, and the children themselves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from bridge.frames import encode
from pool import (
    EnvironmentInvalid,
    ProtocolError,
    RemoteError,
)
from pool.testing import (
    Child,
    Obedient,
    Request,
    Script,
    ScriptedLauncher,
    ScriptedPool,
    run,
)
from pool.testing.world import World

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


def test_one_call_comes_after_the_other() -> None:
    async def main() -> list[float]:
        launcher = ScriptedLauncher(lambda: Obedient(call_time=1.0), lag=0.0)
        launched = await launcher.launch("child")
        began, answered = now(), []
        launched.link.start(lambda _: answered.append(now() - began), print, print)
        for number in (1, 2):
            launched.link.write(encode(b'{"id": %d, "command": "echo"}' % number))
        await asyncio.sleep(5.0)
        return answered

    assert run(main()) == [1.0, 2.0]


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


class EndsTwice(Script):
    """Counts ends of file; when it ends, it makes plans."""

    ends = 0
    acts = 0

    def end_of_file(self, child: Child) -> None:
        self.ends += 1

    def terminated(self, child: Child) -> None:
        child.exit(0)
        child.later(1.0, self.act)

    def act(self) -> None:
        self.acts += 1


def test_an_end_comes_once_and_is_the_end() -> None:
    async def main() -> tuple[int, int]:
        script = EndsTwice()
        launched = await ScriptedLauncher(lambda: script).launch("child")
        launched.link.close_write()
        await asyncio.sleep(1.0)
        launched.process.terminate()
        await launched.process.exited
        await asyncio.sleep(5.0)
        return script.ends, script.acts

    assert run(main()) == (1, 0)


def test_a_stopped_child_sees_one_end_of_file() -> None:
    async def main() -> int:
        script = EndsTwice()
        launcher = ScriptedLauncher(lambda: script)
        launched = await launcher.launch("child")
        launched.link.close_write()
        for _ in range(3):
            await asyncio.sleep(1.0)
            launcher.children[0].stop(0.5)
        return script.ends

    assert run(main()) == 1


def test_a_grandchild_holds_the_pipes_until_the_reap() -> None:
    async def main() -> tuple[bool, bool]:
        launcher = ScriptedLauncher(Obedient)
        launched = await launcher.launch("child")
        child = launcher.children[0]
        child.has_grandchild, child.reap_delay = True, 5.0
        child.exit(0)
        await asyncio.sleep(4.0)
        before = launched.link.is_open()
        await launched.process.exited
        return before, launched.link.is_open()

    assert run(main()) == (True, False)


# Chance


def test_how_soon_things_are_noticed_and_how_they_are_cut() -> None:
    chance, none = World(Random(1), lag=0.5, cuts=1.0), World(None, lag=0.5, cuts=1.0)
    assert {chance.lag() for _ in range(50)} == {0.0, 0.5, 1.0, 1.5}
    assert {chance.cut(5) for _ in range(50)} == {1, 2, 3, 4}
    assert (chance.cut(1), none.lag(), none.cut(5)) == (1, 0.5, 5)
