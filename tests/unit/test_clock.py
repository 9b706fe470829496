"""The pool's clock and its alarms, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest

from pool.clock import _FEW, BEAT, SUSPENDED, Alarm, Clock, move_on_after
from pool.testing import VirtualLoop, run


def loop() -> VirtualLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


def with_clock(main: Callable[[Clock], Coroutine[Any, Any, Any]]) -> Any:
    async def started() -> Any:
        clock = Clock()
        # An alarm is always set, as it is in a pool, so that the clock looks at the time.
        clock.call_at(clock.now() + 1e6, lambda: None)
        try:
            return await main(clock)
        finally:
            clock.close()

    return run(started(), limit=1e7)


def note(clock: Clock, seen: list[float], *delays: float) -> None:
    """Have the clock note, for each delay, when it rings, in seconds from now."""
    start = clock.now()
    for delay in delays:
        clock.call_at(start + delay, lambda: seen.append(clock.now() - start))


def timers() -> int:
    """How many are set on the event loop, the clock's among them."""
    return sum(not timer.cancelled() for timer in loop()._scheduled)


# Ringing


def test_alarms_ring_in_order_each_at_its_instant() -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        note(clock, seen, 0.5, 7.25, 0.25, 0.5, 2.0, 0.0)
        await asyncio.sleep(10.0)
        return seen

    assert with_clock(main) == pytest.approx([0.0, 0.25, 0.5, 0.5, 2.0, 7.25])


def test_alarms_of_one_instant_ring_in_the_order_in_which_they_were_set() -> None:
    async def main(clock: Clock) -> str:
        seen: list[str] = []
        due = clock.now() + 1.0
        for name in "abcdefgh":
            clock.call_at(due, partial(seen.append, name))
        await asyncio.sleep(1.0)
        return "".join(seen)

    assert with_clock(main) == "abcdefgh"


def test_an_earlier_alarm_that_is_set_later_rings_first() -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        note(clock, seen, 0.9)
        await asyncio.sleep(0.1)
        note(clock, seen, 0.2)
        await asyncio.sleep(1.0)
        return seen

    assert with_clock(main) == pytest.approx([0.2, 0.9])


def test_none_rings_before_its_time_even_if_the_loop_is_blocked_for_a_while() -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        note(clock, seen, 1.5, 3.0)
        loop().jump(1.25)
        await asyncio.sleep(0.0)
        assert seen == []
        await asyncio.sleep(0.25)
        assert len(seen) == 1
        await asyncio.sleep(5.0)
        return seen

    assert with_clock(main) == pytest.approx([1.5, 3.0])


def test_an_action_may_set_and_cancel_alarms() -> None:
    async def main(clock: Clock) -> list[str]:
        seen: list[str] = []
        now = clock.now()
        doomed = clock.call_at(now + 1.0, lambda: seen.append("doomed"))

        def act() -> None:
            doomed.cancel()
            clock.call_at(now, lambda: seen.append("at once"))
            clock.call_at(now + 2.0, lambda: seen.append("later"))

        clock.call_at(now + 0.5, act)
        await asyncio.sleep(0.5)
        await asyncio.sleep(0.0)
        assert seen == ["at once"]
        await asyncio.sleep(3.0)
        return seen

    assert with_clock(main) == ["at once", "later"]


def test_an_action_that_raises_is_reported_and_keeps_no_other_from_ringing() -> None:
    async def main(clock: Clock) -> tuple[list[float], list[str]]:
        said: list[str] = []
        seen: list[float] = []
        loop().set_exception_handler(lambda _, context: said.append(repr(context["exception"])))

        def fail() -> None:
            raise ArithmeticError

        due = clock.now() + 1.0
        for action in (fail, lambda: note(clock, seen, 0.0), fail, lambda: note(clock, seen, 1.0)):
            clock.call_at(due, action)
        await asyncio.sleep(3.0)
        return seen, said

    assert with_clock(main) == ([0.0, 1.0], ["ArithmeticError()"] * 2)


# Cancelling


def test_an_alarm_that_was_cancelled_never_rings() -> None:
    async def main(clock: Clock) -> list[str]:
        seen: list[str] = []
        alarms = [
            clock.call_at(clock.now() + delay, partial(seen.append, f"{delay}"))
            for delay in (1.0, 2.0, 3.0)
        ]
        alarms[1].cancel()
        alarms[1].cancel()
        assert [alarm.is_set for alarm in alarms] == [True, False, True]
        await asyncio.sleep(5.0)
        assert not any(alarm.is_set for alarm in alarms)
        alarms[0].cancel()
        assert clock._cancelled == 0
        return seen

    assert with_clock(main) == ["1.0", "3.0"]


def test_those_that_are_left_ring_in_order() -> None:
    async def main(clock: Clock) -> None:
        random, seen = Random(0), list[float]()
        start, alarms = clock.now(), list[tuple[float, Alarm]]()
        for _ in range(300):
            delay = random.random()
            alarms.append((delay, clock.call_at(start + delay, partial(seen.append, delay))))
        random.shuffle(alarms)
        for _, alarm in alarms[:200]:
            alarm.cancel()
        await asyncio.sleep(2.0)
        assert seen == sorted(delay for delay, _ in alarms[200:])

    with_clock(main)


@pytest.mark.parametrize(("others", "cancelled"), [(0, _FEW + 1), (10 * _FEW, 10 * _FEW + 2)])
def test_they_are_cleared_away_when_many_and_over_half(others: int, cancelled: int) -> None:
    async def main(clock: Clock) -> list[int]:
        for _ in range(others):
            clock.call_at(clock.now() + 50.0, lambda: None)
        left = []
        for _ in range(cancelled):
            clock.call_at(clock.now() + 50.0, lambda: None).cancel()
            left.append(len(clock._alarms))
        assert clock._cancelled == 0
        return left[-2:]

    # One more is set all the time.
    assert with_clock(main) == [others + cancelled, others + 1]


def test_cancelled_alarms_do_not_pile_up() -> None:
    async def main(clock: Clock) -> int:
        kept = [0.0]
        note(clock, kept, *range(100, 110))
        most = 0
        for _ in range(10_000):
            clock.call_at(clock.now() + 50.0, lambda: kept.append(-1.0)).cancel()
            most = max(most, len(clock._alarms))
        await asyncio.sleep(200.0)
        assert kept == pytest.approx([0.0, *range(100, 110)])
        return most

    assert with_clock(main) <= 2 * _FEW


def test_what_is_cancelled_is_counted_right_when_its_time_comes() -> None:
    async def main(clock: Clock) -> int:
        for _ in range(3):
            for _ in range(_FEW):
                clock.call_at(clock.now() + 1.0, lambda: None).cancel()
            await asyncio.sleep(2.0)
        return clock._cancelled

    assert with_clock(main) == 0


# Time in which the loop could not turn


@pytest.mark.parametrize("seconds", [BEAT + SUSPENDED + 0.001, 10.0, 864_000.0])
def test_a_beat_that_is_late_moves_all_instants(seconds: float) -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        note(clock, seen, 0.5, 3.0, 100.0)
        start = clock.now()
        loop().jump(seconds)
        assert clock.now() == start
        await asyncio.sleep(0.0)
        assert seen == []
        await asyncio.sleep(200.0)
        return seen

    assert with_clock(main) == pytest.approx([0.5, 3.0, 100.0])


def test_what_is_set_before_the_clock_was_looked_at_is_moved_too() -> None:
    async def main() -> list[float]:
        clock, began, seen = Clock(), loop().time(), list[float]()
        clock.call_at(began + 5.0, lambda: seen.append(loop().time() - began))
        loop().jump(60.0)
        await asyncio.sleep(10.0)
        clock.close()
        return seen

    assert run(main()) == [65.0]


@pytest.mark.parametrize("lost", [0.0, 1_000.0])
def test_to_set_an_alarm_puts_no_beat_off(lost: float) -> None:
    async def main(clock: Clock) -> float:
        start = clock.now()
        loop().jump(lost)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.75 * BEAT)
        note(clock, [], 100.0)
        loop().jump(0.5 * BEAT + SUSPENDED)
        return clock.now() - start

    assert with_clock(main) == pytest.approx(0.75 * BEAT)


def test_time_in_which_no_alarm_is_set_counts() -> None:
    async def main() -> float:
        clock = Clock()
        start = clock.now()
        await asyncio.sleep(60.0)
        return clock.now() - start

    assert run(main()) == 60.0


def test_the_beat_itself_finds_that_it_is_late() -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        began = loop().time()
        clock.call_at(clock.now() + 5.0, lambda: seen.append(loop().time() - began))
        await asyncio.sleep(2.5)
        loop().jump(60.0)
        await asyncio.sleep(20.0)
        return seen

    # Half a second had passed since the last beat, which does not count either.
    assert with_clock(main) == pytest.approx([65.5])


def test_any_number_of_jumps() -> None:
    async def main(clock: Clock) -> float:
        start = clock.now()
        for _ in range(5):
            await asyncio.sleep(1.0)
            loop().jump(30.0)
            await asyncio.sleep(0.0)
        return clock.now() - start

    assert with_clock(main) == pytest.approx(5.0, abs=1e-6)


def test_a_loop_that_is_blocked_for_less_than_that_loses_no_time() -> None:
    async def main(clock: Clock) -> tuple[float, list[float]]:
        seen: list[float] = []
        start = clock.now()
        note(clock, seen, 0.5, 1.9, 3.0)
        loop().jump(0.5 + SUSPENDED - 0.001)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        return clock.now() - start, seen

    late = 0.5 + SUSPENDED - 0.001
    assert with_clock(main) == (pytest.approx(late), pytest.approx([late]))


@pytest.mark.parametrize("short", [0.001, 0.0])
def test_what_is_late_by_the_beat_alone_counts(short: float) -> None:
    async def main(clock: Clock) -> float:
        start = clock.now()
        loop().jump(BEAT + SUSPENDED - short)
        return clock.now() - start

    assert with_clock(main) == pytest.approx(BEAT + SUSPENDED - short)


def test_after_a_jump_no_alarm_is_missed_by_a_rounding_error() -> None:
    async def main(clock: Clock) -> None:
        for number in range(20):
            due = clock.now() + 0.1 * number
            loop().jump(1e4 / 3)
            rung: asyncio.Future[None] = loop().create_future()
            clock.call_at(due, partial(rung.set_result, None))
            await rung
            assert clock.now() >= due

    with_clock(main)


# Blocks


def test_a_block_is_cancelled_at_its_instant_and_only_that() -> None:
    async def main(clock: Clock) -> list[bool]:
        start = clock.now()
        with clock.move_on_at(start + 10.0) as outer:
            with clock.move_on_at(start + 2.0) as inner:
                await anyio.sleep_forever()
            assert clock.now() - start == pytest.approx(2.0)
            await anyio.sleep(1.0)
        return [outer.cancelled_caught, inner.cancelled_caught]

    assert with_clock(main) == [False, True]


def test_a_block_that_ends_before_its_instant_takes_its_alarm_along() -> None:
    async def main(clock: Clock) -> bool:
        set_before = len(clock._alarms)
        with clock.move_on_at(clock.now() + 1.0) as scope:
            await anyio.sleep(0.5)
        with clock.move_on_at(None) as never:
            assert len(clock._alarms) == set_before + 1
            await anyio.sleep(5.0)
        assert len(clock._alarms) == set_before
        return scope.cancel_called or never.cancel_called

    assert with_clock(main) is False


@pytest.mark.parametrize("seconds", [10.0, 864_000.0])
def test_a_block_and_a_sleep_last_as_long_as_the_loop_can_turn(seconds: float) -> None:
    async def main() -> tuple[float, float]:
        clock, began = Clock(), loop().time()
        loop().call_later(0.25, loop().jump, seconds)
        with move_on_after(1.0) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        blocked = loop().time() - began - seconds
        loop().call_later(0.25, loop().jump, seconds)
        began = loop().time()
        await clock.sleep(2.0)
        return blocked, loop().time() - began - seconds

    # Since the clock was last looked at a quarter of a second had passed, which does not count.
    assert run(main(), limit=1e7) == pytest.approx((1.25, 2.25))


def test_a_block_leaves_no_timer() -> None:
    async def main() -> int:
        with move_on_after(1e6):
            assert timers() == 1
        return timers()

    assert run(main()) == 0


def test_a_block_without_a_limit_is_never_cancelled() -> None:
    async def main() -> bool:
        with move_on_after(None) as scope:
            await anyio.sleep(5e4)
        return scope.cancel_called

    assert run(main(), limit=1e6) is False


# The end


def test_it_takes_one_timer_of_the_loop_and_none_when_closed() -> None:
    async def main(clock: Clock) -> list[int]:
        taken = [timers()]
        note(clock, [], 0.9, 0.6, 0.3)
        taken.append(timers())
        clock.close()
        return [*taken, timers()]

    assert with_clock(main) == [1, 1, 0]


def test_a_clock_that_is_closed_forgets_what_was_cancelled() -> None:
    async def main(clock: Clock) -> int:
        clock.call_at(clock.now() + 1.0, lambda: None).cancel()
        clock.close()
        return clock._cancelled

    assert with_clock(main) == 0


def test_a_clock_that_was_closed_rings_only_what_is_set_after_it() -> None:
    async def main(clock: Clock) -> list[float]:
        seen: list[float] = []
        note(clock, seen, 1.0, 2.0)
        clock.close()
        clock.close()
        await asyncio.sleep(60.0)
        assert seen == []
        note(clock, seen, 3.0)
        await asyncio.sleep(60.0)
        return seen

    assert with_clock(main) == pytest.approx([3.0])
