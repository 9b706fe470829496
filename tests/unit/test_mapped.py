"""The results of a map: in order or as they come, in runs or one by one, errors in their place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pool import PoolError
from pool.dataset.batch import Failed
from pool.dataset.results import Results

ERROR = PoolError("it failed")


def results(*, ordered: bool = True, return_exceptions: bool = False) -> Results:
    return Results(ordered, return_exceptions)


def put(made: Results, start: int, *outcomes: Any) -> None:
    made.taken(len(outcomes))
    made.put(start, list(outcomes))


async def read(made: Results) -> list[tuple[int, Any]]:
    return [(made.index, result) async for result in made]


async def test_in_order_the_first_is_waited_for() -> None:
    made = results()
    put(made, 2, "c")
    reading = asyncio.create_task(read(made))
    await asyncio.sleep(0)
    put(made, 0, "a", "b")
    made.end()
    assert await reading == [(0, "a"), (1, "b"), (2, "c")]
    assert made.outstanding == 0


async def test_out_of_order_they_come_as_they_are_there() -> None:
    made = results(ordered=False)
    put(made, 2, "c")
    put(made, 0, "a", "b")
    made.end()
    assert await read(made) == [(2, "c"), (0, "a"), (1, "b")]


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_an_error_comes_in_its_place_and_the_next_after_it(return_exceptions: bool) -> None:
    made = results(return_exceptions=return_exceptions)
    put(made, 0, "a", Failed(ERROR), "c")
    made.end()
    assert await anext(made) == "a"
    if return_exceptions:
        assert await anext(made) is ERROR
    else:
        with pytest.raises(PoolError, match="it failed"):
            await anext(made)
    assert await anext(made) == "c"
    assert made.index == 2
    with pytest.raises(StopAsyncIteration):
        await anext(made)


async def test_what_ends_the_whole_comes_after_the_results() -> None:
    made = results()
    put(made, 0, "a")
    made.fail(ERROR)
    made.fail(OSError("a later one"))
    made.end()
    assert await anext(made) == "a"
    with pytest.raises(PoolError, match="it failed"):
        await anext(made)


async def test_runs_are_taken_with_their_places() -> None:
    made = results()
    assert made.take_ready() == []
    put(made, 0, "a", Failed(ERROR))
    put(made, 2, "c")
    put(made, 9, "j")
    told = made.take_ready()
    assert [start for start, _ in told] == [0, 2]
    assert told[0][1][0] == "a"
    assert type(told[0][1][1]) is Failed
    assert made.index == 2
    put(made, 3, *"defghi")
    made.end()
    assert [start for start, _ in await made.take()] == [3, 9]
    assert await made.take() == []


async def test_a_run_that_was_begun_is_taken_from_where_it_was_left() -> None:
    made = results()
    put(made, 0, "a", "b", "c")
    assert await anext(made) == "a"
    assert made.take_ready() == [(1, ["b", "c"])]


async def test_taking_waits_for_the_first() -> None:
    made = results()
    taking = asyncio.create_task(made.take())
    await asyncio.sleep(0)
    put(made, 0, "a")
    assert await taking == [(0, ["a"])]


async def test_room_is_waited_for_until_results_are_read() -> None:
    made = results()
    put(made, 0, "a", "b")
    assert await made.has_room(lambda: 3)
    waiting = asyncio.create_task(made.has_room(lambda: 2))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await anext(made) == "a"
    assert await waiting


async def test_there_is_no_room_once_the_whole_has_ended() -> None:
    made = results()
    put(made, 0, "a")
    waiting = asyncio.create_task(made.has_room(lambda: 1))
    await asyncio.sleep(0)
    made.fail(ERROR)
    assert not await waiting
    assert not await made.has_room(lambda: 100)
