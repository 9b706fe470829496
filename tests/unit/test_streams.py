"""Streams of the real pool over scripted children: their ends, their deadlines, their bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from pool import (
    Breaker,
    BrokenWorkerError,
    CallTimeout,
    CircuitOpen,
    LeaseClosed,
    PoolError,
    ProtocolError,
    RemoteError,
    ResultTypeError,
)
from pool.exchange.feed import WINDOW
from pool.stream import Items
from pool.testing import Control, Obedient, ScriptedLauncher, ScriptedPool, run
from pool.testing.obedient import EVERYTHING
from pool.testing.pipes import CAPACITY

Story = Callable[[ScriptedPool], Coroutine[Any, Any, None]]

FOREIGN: tuple[str, ...] = ()
MANY = 10_000


def now() -> float:
    return asyncio.get_running_loop().time()


def items(count: int) -> list[dict[str, int]]:
    return [{"i": i} for i in range(count)]


def shouts(args: dict[str, Any]) -> Iterator[str]:
    yield from args["text"]
    raise ValueError("no more")


def told(story: Story, child: dict[str, Any] | None = None, **settings: Any) -> ScriptedLauncher:
    """Tell a story of a pool of one worker, in several orders; nothing is left after it."""
    given = {"capabilities": EVERYTHING, "commands": {"shouts": shouts}, **(child or {})}
    for seed in (None, *range(5)):
        launcher = ScriptedLauncher(lambda: Obedient(**given), seed=seed)

        async def main(launcher: ScriptedLauncher = launcher) -> None:
            options: Any = {"size": 1, "late_reply_timeout": 5.0, **settings}
            async with ScriptedPool(launcher, **options) as pool:
                await story(pool)
            launcher.assert_nothing_left()

        run(main(), seed=seed)
    return launcher


async def read(stream: Items) -> tuple[list[Any], PoolError | None]:
    """The items, and the error that came after them, if one did."""
    got: list[Any] = []
    try:
        async for item in stream:
            got.append(item)  # noqa: PERF401 - what came before an error counts
    except PoolError as error:
        return got, error
    return got, None


async def rests(pool: ScriptedPool) -> None:
    """Wait until no call is left; no worker was lost, or killed."""
    await asyncio.sleep(5.0)
    stats = pool.stats()
    assert (stats.idle, stats.total, stats.inflight_calls) == (1, 1, 0)
    assert stats.worker_exits.keys() <= {"unwanted"}


@pytest.fixture(params=[EVERYTHING, FOREIGN], ids=["ours", "foreign"])
def capabilities(request: pytest.FixtureRequest) -> tuple[str, ...]:
    able: tuple[str, ...] = request.param
    return able


# To the end


def test_items_in_order_then_what_the_command_returned(capabilities: tuple[str, ...]) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": MANY}) as stream:
            assert [item async for item in stream] == items(MANY)
            assert stream.result == {"items": MANY}
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        assert pool.stats().calls == {"ok": 1}
        await rests(pool)

    told(story, {"capabilities": capabilities})


def test_an_error_comes_after_the_items_that_came_before(capabilities: tuple[str, ...]) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("shouts", {"text": "abc"}) as stream:
            got, error = await read(stream)
        assert got == ["a", "b", "c"]
        assert isinstance(error, RemoteError)
        assert str(error) == "ValueError: no more"
        assert pool.stats().calls == {"error": 1}
        await rests(pool)

    told(story, {"capabilities": capabilities})


def test_an_item_of_another_type_costs_that_item() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 2}, result_type=int) as stream:
            for i in range(2):
                with pytest.raises(ResultTypeError) as caught:
                    await anext(stream)
                assert caught.value.result == {"i": i}
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    told(story)


def test_a_stream_is_entered_once() -> None:
    async def story(pool: ScriptedPool) -> None:
        stream = pool.stream("count", {"n": 1})
        async with stream:
            with pytest.raises(RuntimeError, match="once"):
                await stream.__aenter__()

    told(story)


# Left early


def test_left_early_it_is_cancelled_and_its_slot_is_free() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": MANY, "delay": 0.1}) as stream:
            async for item in stream:
                if item["i"] == 2:
                    break
        assert pool.stats().calls == {"cancelled": 1}
        assert await pool.call("echo", {"a": 1}, timeout=1.0) == {"a": 1}
        await rests(pool)

    launcher = told(story)
    assert launcher.children[0].controls == [Control("$cancel", 1)]


def test_left_early_one_that_cannot_be_cancelled_is_waited_for_and_kept_nowhere() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 40, "delay": 0.1}) as stream:
            await anext(stream)
        kept = stream._feed
        left = len(kept.items)
        assert pool.stats().abandoned == 1
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
        assert len(kept.items) == left
        await rests(pool)

    told(story, {"capabilities": FOREIGN})


def test_after_its_block_it_is_over() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 3, "delay": 1.0}) as stream:
            await anext(stream)
        with pytest.raises(LeaseClosed, match="its block was left"):
            await anext(stream)
        await rests(pool)

    told(story)


def test_who_reads_in_another_task_learns_that_the_block_was_left() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 3, "delay": 9.0}) as stream:
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(1.0)
        with pytest.raises(LeaseClosed, match="its block was left"):
            await reading

    told(story)


def test_a_cancelled_reader_leaves_the_block_and_no_call() -> None:
    async def story(pool: ScriptedPool) -> None:
        async def read() -> None:
            async with pool.stream("count", {"n": 3, "delay": 9.0}) as stream:
                await anext(stream)

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(1.0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        assert pool.stats().calls == {"cancelled": 1}
        await rests(pool)

    told(story)


# Deadlines


@pytest.mark.parametrize("first", [0, 1])
def test_the_wait_for_each_item_has_the_timeout(first: int) -> None:
    async def story(pool: ScriptedPool) -> None:
        await pool.wait_ready()
        async with pool.stream("count", {"n": 3, "delay": 2.0}, timeout=2.5) as stream:
            for _ in range(first):
                await anext(stream)
        async with pool.stream("count", {"n": 3, "delay": 5.0}, timeout=2.5) as stream:
            began = now()
            with pytest.raises(CallTimeout, match=r"'count' did not answer within 2\.5 s"):
                await anext(stream)
            assert now() - began == pytest.approx(2.5, abs=0.1)

    told(story)


def test_the_wait_for_a_worker_and_the_first_item_have_it_together() -> None:
    async def story(pool: ScriptedPool) -> None:
        began = now()
        async with pool.stream("count", {"n": 2, "delay": 1.8}, timeout=4.0) as stream:
            assert now() - began == pytest.approx(3.0, abs=0.1)
            with pytest.raises(CallTimeout):
                await anext(stream)
            assert now() - began == pytest.approx(4.0, abs=0.1)

    told(story, {"start_time": 3.0})


def test_each_next_item_has_all_of_it() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 2, "delay": 1.8}, timeout=4.0) as stream:
            await asyncio.sleep(1.0)
            assert [item async for item in stream] == items(2)

    told(story, {"start_time": 3.0})


def test_the_time_that_the_reader_takes_does_not_count() -> None:
    async def story(pool: ScriptedPool) -> None:
        got = []
        async with pool.stream("count", {"n": 3, "delay": 0.5}, timeout=1.0) as stream:
            await asyncio.sleep(10.0)
            async for item in stream:
                got.append(item)
                await asyncio.sleep(10.0)
        assert got == items(3)

    told(story)


def test_neither_does_the_time_after_a_wait_that_was_given_up() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 2, "delay": 1.0}, timeout=3.0) as stream:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(stream)
            await asyncio.sleep(10.0)
            assert [item async for item in stream] == items(2)

    told(story)


def test_timed_out_it_frees_its_slot_when_it_ends() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 1, "delay": 3.0}, timeout=1.0) as stream:
            with pytest.raises(CallTimeout):
                await anext(stream)
        assert pool.stats().calls == {"timeout": 1}
        await rests(pool)

    told(story)


def test_timed_out_and_never_ended_its_worker_is_killed() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 1, "delay": 900.0}, timeout=1.0) as stream:
            with pytest.raises(CallTimeout):
                await anext(stream)
            await asyncio.sleep(6.0)
            assert pool.stats().worker_exits == {"timeout": 1}

    told(story, {"capabilities": FOREIGN})


# Bounds


def test_no_more_comes_than_the_window_holds() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": MANY}) as stream:
            await asyncio.sleep(1.0)
            assert len(stream._feed.items) == WINDOW
            for _ in range(WINDOW):
                await anext(stream)
            await asyncio.sleep(1.0)
            assert len(stream._feed.items) == WINDOW
        await rests(pool)

    told(story)


@pytest.mark.parametrize("size", [10, 1000])
def test_a_child_that_knows_no_credit_has_to_wait_for_the_reader(size: int) -> None:
    most = WINDOW + CAPACITY / (size + 35)  # it is paused after what was read at once

    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("shouts", {"text": ["x" * size] * MANY}) as stream:
            await asyncio.sleep(1.0)
            assert WINDOW < len(stream._feed.items) < most
            for _ in range(5 * WINDOW):
                await anext(stream)
                await asyncio.sleep(0.01)
                assert len(stream._feed.items) < most
        await rests(pool)

    told(story, {"capabilities": FOREIGN})


def test_left_early_it_need_not_wait_any_more() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("shouts", {"text": ["x" * 1000] * 1000}) as stream:
            await asyncio.sleep(1.0)
        assert await pool.call("echo", {"a": 1}, timeout=2.0) == {"a": 1}
        assert len(stream._feed.items) < WINDOW + CAPACITY / 1000
        await rests(pool)

    told(story, {"capabilities": FOREIGN})


@pytest.mark.parametrize("count", [WINDOW + 20, 2 * WINDOW])
def test_a_stream_that_ended_before_it_was_read_does_not_hold_up_the_next_call(count: int) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": count}) as stream:
            await asyncio.sleep(1.0)
            await anext(stream)
        assert await pool.call("echo", {"a": 1}, timeout=2.0) == {"a": 1}
        async with pool.checkout() as worker:
            async with worker.stream("count", {"n": count}):
                await asyncio.sleep(1.0)
            await asyncio.sleep(1.0)
            leaving = worker.stream("count", {"n": count})
            await leaving.__aenter__()
            await asyncio.sleep(1.0)
        assert await pool.call("echo", {"a": 1}, timeout=2.0) == {"a": 1}
        await leaving.__aexit__()
        await rests(pool)

    told(story, {"capabilities": FOREIGN})


def test_what_a_child_has_sent_is_read_though_it_has_ended_while_it_waited() -> None:
    async def story(pool: ScriptedPool) -> None:
        launcher = pool._scripted
        async with pool.stream("shouts", {"text": ["x" * 1000] * MANY}) as stream:
            await asyncio.sleep(1.0)
            launcher.children[-1].exit(3)
            await asyncio.sleep(1.0)
            assert pool.stats().worker_exits == {"crash": 1}
            got, error = await read(stream)
        assert len(got) > WINDOW + CAPACITY / 1000
        assert isinstance(error, BrokenWorkerError)
        assert "status 3 with 'shouts' on it" in str(error)
        assert await pool.call("echo") == {}

    told(story, {"capabilities": FOREIGN})


class IgnoresCredit(Obedient):
    """Sends as if it had been told of none, and says that it knows what it is."""

    def work_on(self, child: Any, request: Any) -> Any:
        request.others.pop("credit", None)
        return super().work_on(child, request)


def test_who_sends_more_than_it_may_is_killed() -> None:
    launcher = ScriptedLauncher(lambda: IgnoresCredit(capabilities=EVERYTHING))

    async def main() -> None:
        async with ScriptedPool(launcher, size=1) as pool:
            async with pool.stream("count", {"n": MANY}) as stream:
                await asyncio.sleep(1.0)
                got, error = await read(stream)
            assert len(got) == WINDOW + 1
            assert isinstance(error, ProtocolError)
            assert "more for 'count' than it may" in str(error)
            assert pool.stats().worker_exits == {"protocol": 1}
            assert await pool.call("echo") == {}

    run(main())


def test_credit_is_told_only_to_those_who_know_it() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": MANY}) as stream:
            assert len([item async for item in stream]) == MANY

    for capabilities, credit in ((EVERYTHING, WINDOW), (FOREIGN, None)):
        launcher = told(story, {"capabilities": capabilities})
        [child] = launcher.children
        [request] = [request for request in child.requests if request.command == "count"]
        assert request.credit == credit
        assert bool(child.controls) is (credit is not None)


@pytest.mark.parametrize("able", [("concurrent",), ("credit",), EVERYTHING])
def test_many_calls_at_a_time_need_credit(able: tuple[str, ...]) -> None:
    async def story(pool: ScriptedPool) -> None:
        calls = [asyncio.ensure_future(pool.call("sleep", {"seconds": 1.0})) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert pool.stats().inflight_calls == (4 if able == EVERYTHING else 1)
        await asyncio.gather(*calls)

    told(story, {"capabilities": able}, concurrency=4)


# Lost workers


def test_a_worker_lost_in_the_middle_is_an_error_after_its_items() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.stream("count", {"n": 9, "delay": 1.0}) as stream:
            asyncio.get_running_loop().call_later(2.5, pool._scripted.children[-1].exit, -9)
            got, error = await read(stream)
        assert got == items(2)
        assert isinstance(error, BrokenWorkerError)
        assert "SIGKILL with 'count' on it" in str(error)
        assert pool.stats().calls == {"worker_lost": 1}
        assert await pool.call("echo") == {}

    told(story)


# On a lease


def test_on_a_lease_other_calls_wait_for_the_end_of_its_block() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout() as worker:
            async with worker.stream("count", {"n": 2}) as stream:
                call = asyncio.ensure_future(worker.call("echo", {"a": 1}))
                assert [item async for item in stream] == items(2)
                await asyncio.sleep(1.0)
                assert not call.done()
            assert await call == {"a": 1}
            async with worker.stream("count", {"n": 1}) as stream:
                assert [item async for item in stream] == items(1)
        await rests(pool)

    told(story)


def test_left_early_on_a_lease_the_lease_is_over() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout() as worker:
            async with worker.stream("count", {"n": 9, "delay": 1.0}) as stream:
                await anext(stream)
            with pytest.raises(LeaseClosed, match="left early"):
                await worker.call("echo")
            with pytest.raises(LeaseClosed, match="left early"):
                async with worker.stream("count", {"n": 1}):
                    pass
        await rests(pool)

    told(story)


def test_when_the_lease_ends_its_stream_does() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.checkout() as worker:
            stream = worker.stream("count", {"n": 9, "delay": 1.0})
            reading = await stream.__aenter__()
        with pytest.raises(LeaseClosed, match="ended with a call on it"):
            await anext(reading)
        await stream.__aexit__()
        await rests(pool)

    told(story)


# What a breaker sees


def test_a_breaker_sees_how_streams_end() -> None:
    async def read(pool: ScriptedPool, text: str, most: int) -> None:
        async with pool.stream("shouts", {"text": text}) as stream:
            for _ in range(most):
                await anext(stream)

    async def story(pool: ScriptedPool) -> None:
        await read(pool, "abc", 2)  # left early: says nothing
        for _ in range(2):
            with pytest.raises(RemoteError):
                await read(pool, "a", 9)
        with pytest.raises(CircuitOpen):
            await read(pool, "a", 9)
        assert pool.stats().circuits == {"shouts": "open"}

    told(story, breaker=Breaker(failures=2))
