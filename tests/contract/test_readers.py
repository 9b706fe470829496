"""Readers of streams and maps that are cancelled, and those that take many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pool import RemoteError, RequestError
from pool.dataset.batch import Failed
from pool.exchange.feed import WINDOW, Feed
from tests.contract.pools import make_pool


async def test_a_reader_whose_wait_was_cancelled_reads_on() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    async with (
        make_pool("forkserver") as pool,
        pool.stream("count", {"n": 2, "delay": 0.1}) as items,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(items), 0.02)
        await pool.call("sleep", {"seconds": 0.15})  # the first item comes to nobody
        assert [item async for item in items] == [{"i": 0}, {"i": 1}]
    assert not complaints


async def test_the_clock_of_a_cancelled_wait_has_stopped() -> None:
    asked = {"n": 1, "delay": 0.5}
    async with make_pool("forkserver") as pool:
        await pool.wait_ready()
        async with pool.stream("count", asked, timeout=0.3) as items:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(items), 0.02)
            await pool.call("sleep", {"seconds": 0.4})
            assert [item async for item in items] == [{"i": 0}]


async def test_what_was_taken_counts_as_read_when_more_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    granted: list[int] = []
    async with (
        make_pool("forkserver") as pool,
        pool.stream("count", {"n": 1000}) as items,
    ):
        grant = items._exchange.took

        def counted(feed: Feed, count: int) -> None:
            granted.append(count)
            grant(feed, count)

        monkeypatch.setattr(items._exchange, "took", counted)
        while len(items._feed.items) < WINDOW:  # noqa: ASYNC110 - nothing tells that it is full
            await asyncio.sleep(0.001)
        read = 0
        while taken := await items.take():
            assert len(taken) <= WINDOW // 2
            assert sum(granted) <= read
            assert taken == [{"i": i} for i in range(read, read + len(taken))]
            read += len(taken)
    assert read == 1000
    assert items.result == {"items": 1000}


async def test_results_are_taken_and_read_one_by_one_in_turn() -> None:
    seen: list[tuple[int, Any]] = []
    async with (
        make_pool("forkserver") as pool,
        pool.map("echo", ({"i": i} for i in range(2000))) as results,
    ):
        while runs := await results.take():
            for start, outcomes in runs:
                seen += enumerate(outcomes, start)
            assert results.index == seen[-1][0]
            async for result in results:
                seen.append((results.index, result))
                break
    assert seen == [(i, {"i": i}) for i in range(2000)]


async def test_errors_are_taken_in_their_places() -> None:
    items: list[dict[str, object]] = [{"seconds": 0}, {"seconds": "long"}, {"seconds": 0}]
    outcomes = []
    async with make_pool("forkserver") as pool, pool.map("sleep", items) as results:
        assert results.take_ready() == []
        while runs := await results.take():
            outcomes += [outcome for _, run in runs for outcome in run]
    assert outcomes[::2] == [{"slept": 0}] * 2
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, RemoteError)


async def test_the_time_of_a_slow_call_is_not_spent_on_waiting_for_the_one_before() -> None:
    async with make_pool("forkserver", size=1) as pool:
        await pool.wait_ready()
        naps = [{"seconds": 0.3}] * 4
        async with pool.map("sleep", naps, timeout=0.5) as results:
            assert [result async for result in results] == [{"slept": 0.3}] * 4


async def test_items_that_cannot_be_sent_do_not_keep_others_from_batches() -> None:
    items = [{"i": i} if i % 7 else {"i": object()} for i in range(3000)]
    async with make_pool("forkserver") as pool:
        async with pool.map("echo", items, return_exceptions=True) as results:
            read = [result async for result in results]
        frames = pool.stats().checkouts["ok"]
    assert all(isinstance(error, RequestError) for error in read[::7])
    assert [item for place, item in enumerate(read) if place % 7] == [
        item for place, item in enumerate(items) if place % 7
    ]
    assert frames < 1000


async def test_a_map_of_slow_calls_uses_the_overflow() -> None:
    async with make_pool("forkserver", size=1, overflow=2) as pool:
        async with pool.map("sleep", [{"seconds": 0.1}] * 9) as results:
            assert len([result async for result in results]) == 9
        assert pool.stats().worker_starts == 3
