"""The items of a dataset: in order, once each, by however many tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from pool.dataset.source import Source


async def later(count: int, *, fails: bool = False) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number
    if fails:
        raise OSError("no more")


def failing(count: int) -> Iterator[int]:
    yield from range(count)
    raise OSError("no more")


async def all_of(source: Source, count: int) -> list[tuple[int, list[object]]]:
    taken = []
    while (portion := await source.take(count))[1]:
        taken.append(portion)
    return taken


async def test_items_come_with_the_place_of_the_first() -> None:
    assert await all_of(Source("abcde"), 2) == [(0, ["a", "b"]), (2, ["c", "d"]), (4, ["e"])]


async def test_after_the_end_there_are_none() -> None:
    source = Source([1])
    assert await all_of(source, 5) == [(0, [1])]
    assert await source.take(5) == (1, [])


async def test_an_iterator_is_not_asked_after_its_end() -> None:
    asked = 0

    class Once(Iterator[int]):
        def __next__(self) -> int:
            nonlocal asked
            asked += 1
            raise StopIteration

    source = Source(Once())
    await source.take(1)
    await source.take(1)
    assert asked == 1


async def test_what_comes_before_an_error_is_taken() -> None:
    source = Source(failing(3))
    assert await source.take(2) == (0, [0, 1])
    assert await source.take(2) == (2, [2])
    with pytest.raises(OSError, match="no more"):
        await source.take(2)
    assert await source.take(2) == (3, [])


async def test_an_error_alone_is_raised_at_once() -> None:
    source = Source(failing(0))
    with pytest.raises(OSError, match="no more"):
        await source.take(2)


async def test_items_that_come_later_are_taken_one_by_one() -> None:
    source = Source(later(3))
    assert source.is_slow
    assert not Source([]).is_slow
    assert await all_of(source, 5) == [(0, [0]), (1, [1]), (2, [2])]
    assert await source.take(1) == (3, [])


async def test_an_error_of_a_later_one_ends_it() -> None:
    source = Source(later(1, fails=True))
    assert await source.take(1) == (0, [0])
    with pytest.raises(OSError, match="no more"):
        await source.take(1)
    assert await source.take(1) == (1, [])


async def test_several_tasks_get_each_item_once() -> None:
    source = Source(later(20))
    portions = await asyncio.gather(*(all_of(source, 1) for _ in range(3)))
    taken = sorted(portion for task in portions for portion in task)
    assert taken == [(number, [number]) for number in range(20)]
