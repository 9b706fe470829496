"""Virtual time: exact, never waited for, and every run of a seed alike."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pool.testing import Deadlock, Livelock, VirtualLoop, run
from pool.testing.loop import START


def now() -> float:
    return asyncio.get_running_loop().time()


def loop() -> VirtualLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


# Time


def test_time_is_exact_and_costs_none() -> None:
    async def main() -> list[float]:
        start = now()
        seen = []
        for seconds in (0.25, 1.0, 0.5, 3000.0):
            await asyncio.sleep(seconds)
            seen.append(now() - start)
        with anyio.move_on_after(7.0):
            await anyio.sleep_forever()
        return [*seen, now() - start]

    began = time.monotonic()
    assert run(main()) == [0.25, 1.25, 1.75, 3001.75, 3008.75]
    assert time.monotonic() - began < 2.0


def test_a_timer_rings_at_the_very_instant_it_was_set_for() -> None:
    async def main() -> bool:
        due = now() + 0.1  # no float is 0.1
        rung: asyncio.Future[float] = loop().create_future()
        loop().call_at(due, lambda: rung.set_result(now()))
        return await rung == due

    assert run(main())


def test_timers_are_reached_however_late_it_is() -> None:
    async def main() -> None:
        loop().jump(1e12)
        await asyncio.sleep(0.001)

    run(main(), limit=1e13, turns=1000)


def test_time_does_not_start_at_zero() -> None:
    async def main() -> float:
        return now()

    assert run(main()) > 0.0


def test_what_is_outside_comes_before_the_timers_of_its_turn() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop().call_later(1.0, seen.append, "timer")
        loop().outside_at(now() + 1.0, seen.append, "outside")
        loop().outside_at(now() + 1.0, seen.append, "cancelled").cancel()
        await asyncio.sleep(2.0)
        return seen

    assert run(main()) == ["outside", "timer"]


# Jumps


@pytest.mark.parametrize("seed", [None, *range(20)])
def test_after_a_jump_all_that_is_late_comes_in_one_turn_as_it_was_due(seed: int | None) -> None:
    async def main() -> tuple[list[str], float]:
        start = now()
        seen: list[str] = []
        for due in (3.0, 1.0, 2.0, 7.0):
            loop().call_later(due, seen.append, f"timer {due}")
            loop().outside_at(start + due, seen.append, f"outside {due}")
        loop().jump(5.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen, now() - start

    late = ["outside 1.0", "outside 2.0", "outside 3.0", "timer 1.0", "timer 2.0", "timer 3.0"]
    assert run(main(), seed=seed) == (late, 5.0)


def test_time_does_not_go_back() -> None:
    async def main() -> None:
        loop().jump(-1.0)

    with pytest.raises(ValueError, match="does not go back"):
        run(main())


# Order


async def sleepers() -> list[tuple[int, int]]:
    seen = []

    async def sleeper(number: int) -> None:
        for step in range(3):
            await asyncio.sleep(1.0)
            seen.append((step, number))

    await asyncio.gather(*map(sleeper, range(6)))
    return seen


def test_a_seed_draws_an_order_and_always_the_same() -> None:
    orders = [run(sleepers(), seed=seed) for seed in range(10)]
    assert orders == [run(sleepers(), seed=seed) for seed in range(10)]
    assert len({tuple(order) for order in orders}) == 10
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_without_a_seed_the_order_is_that_of_asyncio() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        for name in "abcdefgh":
            loop().call_later(1.0, seen.append, name)
        await asyncio.sleep(2.0)
        return seen

    assert "".join(run(main())) == "abcdefgh"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_scheduled_to_run_soon_keeps_its_order(seed: int) -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        def note(number: int, _: object) -> None:
            seen.append(number)

        future: asyncio.Future[None] = loop().create_future()
        for number in range(5):
            future.add_done_callback(partial(note, number))
        loop().outside_at(now(), loop().call_soon, seen.append, 99)
        future.set_result(None)
        loop().call_soon(seen.append, 5)
        await asyncio.sleep(1.0)
        seen.remove(99)
        return seen

    assert run(main(), seed=seed) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(20))
def test_timers_of_one_instant_come_in_one_turn(seed: int) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        for name in "ab":
            loop().call_later(1.0, loop().call_soon, seen.append, name)
            loop().call_later(1.0, seen.append, "timer")
            loop().outside_at(now() + 1.0, lambda: None)
        await asyncio.sleep(2.0)
        return seen

    assert run(main(), seed=seed)[:2] == ["timer", "timer"]


@pytest.mark.parametrize("chain_is_outside", [True, False])
def test_timers_and_events_of_one_instant_come_in_any_turn(chain_is_outside: bool) -> None:
    """One of them begins a chain of three callbacks; the other may come before each."""

    async def main() -> int:
        steps: list[int] = []
        seen: list[int] = []

        def step() -> None:
            steps.append(1)
            if len(steps) < 3:
                loop().call_soon(step)

        def look() -> None:
            seen.append(len(steps))

        timer, event = (look, step) if chain_is_outside else (step, look)
        loop().call_later(1.0, timer)
        loop().outside_at(now() + 1.0, event)
        await asyncio.sleep(2.0)
        return seen[0]

    assert {run(main(), seed=seed) for seed in range(100)} == {0, 1, 2, 3}


def test_events_of_one_instant_come_in_any_order() -> None:
    async def main() -> str:
        seen: list[str] = []
        for name in "abc":
            loop().outside_at(now() + 1.0, seen.append, name)
        await asyncio.sleep(2.0)
        return "".join(seen)

    orders = {run(main(), seed=seed) for seed in range(100)}
    assert orders == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert run(main()) == "abc"


@pytest.mark.parametrize("seed", range(10))
def test_a_cancelled_scope_of_anyio_cancels_every_wait(seed: int) -> None:
    async def main() -> int:
        cancelled = 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            for _ in range(5):
                try:
                    await anyio.lowlevel.checkpoint()
                except asyncio.CancelledError:
                    cancelled += 1
            await anyio.lowlevel.checkpoint()
        return cancelled

    assert run(main(), seed=seed) == 5


# Between turns


def test_the_hook_is_called_between_turns() -> None:
    looks: list[object] = []

    async def main() -> None:
        for _ in range(5):
            await asyncio.sleep(1.0)

    run(main(), on_turn=lambda: looks.append(asyncio.current_task()))
    assert len(looks) >= 5
    assert set(looks) == {None}


def test_what_the_hook_raises_ends_the_run() -> None:
    ended = []

    async def main() -> None:
        try:
            await tick()
        finally:
            await asyncio.sleep(1.0)
            ended.append(True)

    def hook() -> None:
        assert loop().time() < START + 5.0, "an invariant"

    with pytest.raises(AssertionError, match="an invariant"):
        run(main(), on_turn=hook)
    assert ended == [True]


# Runs that would not end


def test_a_deadlock_is_told_with_who_waits_where() -> None:
    async def wait_for_godot() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(5.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_godot, name="vladimir")

    with pytest.raises(Deadlock) as caught:
        run(main())
    assert "vladimir: wait (locks.py:" in str(caught.value)
    assert "< wait_for_godot (test_virtual_loop.py:" in str(caught.value)
    assert "< main (test_virtual_loop.py:" in str(caught.value)


async def spin() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def tick() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(1.0)


@pytest.mark.parametrize(
    ("main", "said"),
    [(spin, "more than 500 turns have passed"), (tick, "more than 60 virtual seconds")],
)
def test_a_livelock_is_told(main: Callable[[], Coroutine[Any, Any, None]], said: str) -> None:
    with pytest.raises(Livelock, match=said) as caught:
        run(main(), limit=60.0, turns=500)
    assert f"< {main.__name__} (test_virtual_loop.py:" in str(caught.value)


def test_tasks_are_cancelled_and_have_time_to_end() -> None:
    ended: list[str] = []

    async def other() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(30.0)
            ended.append("other")

    async def main() -> None:
        task = asyncio.ensure_future(other())
        try:
            await tick()
        finally:
            ended.append("main")
            await asyncio.wait([task])

    with pytest.raises(Livelock):
        run(main(), limit=60.0)
    assert sorted(ended) == ["main", "other"]


def test_the_loop_is_closed_even_if_a_task_will_not_end() -> None:
    loops: list[VirtualLoop] = []

    async def main() -> None:
        loops.append(loop())
        while True:
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                continue

    with pytest.raises(Livelock):
        run(main(), limit=60.0)
    assert loops[0].is_closed()


def test_what_a_callback_raises_is_raised() -> None:
    async def main() -> None:
        loop().call_later(1.0, lambda: 1 / 0)
        await asyncio.sleep(10.0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_what_the_last_callback_raises_is_raised() -> None:
    async def main() -> None:
        loop().call_soon(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_an_exception_handler_gets_what_a_callback_raises() -> None:
    handled: list[str] = []

    async def main() -> None:
        loop().set_exception_handler(lambda _, context: handled.append(context["message"]))
        loop().call_later(1.0, lambda: 1 / 0)
        await asyncio.sleep(10.0)

    run(main())
    assert len(handled) == 1


# What there is not


def test_there_are_no_threads() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.sleep, 0.0)

    with pytest.raises(RuntimeError, match="a thread takes real time"):
        run(main())


def test_there_are_no_descriptors() -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other:
            loop().add_reader(one, print)

    with pytest.raises(RuntimeError, match="a descriptor is ready in real time"):
        run(main())


def test_a_loop_is_cheap() -> None:
    async def main() -> None:
        pass

    began = time.process_time()
    for seed in range(100):
        run(main(), seed=seed)
    assert time.process_time() - began < 0.5
