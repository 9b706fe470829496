"""Items as they come: each is woken for once, and whoever waits no more is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from msgspec import Raw

from bridge.messages import Reply
from pool.exchange.calls import prepare
from pool.exchange.feed import Feed


class Reader:
    """Reads a feed, and waits for something else in between where that is wanted."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        prepared = prepare("count", {}, None, 10_000)
        self.feed = Feed(1, prepared, None, self.loop, lambda _: None)
        self.got: list[int] = []

    async def read(self) -> None:
        await self.feed.more()
        while self.feed.items:
            self.got.append(int(bytes(self.feed.items.popleft())))

    async def comes(self, *numbers: int) -> None:
        """Items arrive, in one step in which no task runs."""

        def step() -> None:
            for number in numbers:
                self.feed.take(item(number))

        await in_a_callback(step)


@pytest.fixture(autouse=True)
async def _no_complaints() -> AsyncIterator[None]:
    """Nothing was raised where nobody would see it: a task that was woken twice, say."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    yield
    await asyncio.sleep(0)
    assert not complaints


async def in_a_callback(step: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(lambda: done.set_result(step()))
    await done


def item(number: int) -> Reply:
    return Reply(1, data=Raw(b"%d" % number))


async def test_items_are_read_in_order_and_those_that_are_there_without_a_wait() -> None:
    reader = Reader()
    await reader.comes(1, 2)
    await reader.read()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    await reader.comes(3)
    assert waiting.done()
    assert reader.got == [1, 2, 3]


async def test_the_end_comes_after_the_items() -> None:
    reader = Reader()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    await reader.comes(1)
    await in_a_callback(lambda: reader.feed.resume(Reply(1, True)))
    await waiting
    await reader.read()
    assert reader.got == [1]
    assert reader.feed.result() == Reply(1, True)


@pytest.mark.parametrize("ends", ["resume", "fail"])
async def test_who_waits_learns_of_the_end(ends: str) -> None:
    reader = Reader()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    end = partial(reader.feed.fail, KeyError())
    if ends == "resume":
        end = partial(reader.feed.resume, Reply(1, True))
    await in_a_callback(end)
    await waiting
    assert reader.feed.is_done
    assert reader.got == []


@pytest.mark.parametrize("what", ["an item", "the end"])
async def test_who_is_cancelled_as_it_comes_is_woken_once(what: str) -> None:
    reader = Reader()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)

    def step() -> None:
        waiting.cancel()
        if what == "an item":
            reader.feed.take(item(1))
        else:
            reader.feed.resume(Reply(1, True))

    await in_a_callback(step)
    await asyncio.wait([waiting])
    assert waiting.cancelled()


@pytest.mark.parametrize("what", ["an item", "the end"])
async def test_who_waits_no_more_is_not_woken_where_it_waits_for_something_else(what: str) -> None:
    reader = Reader()

    async def read_for_a_while() -> str:
        try:
            async with asyncio.timeout(0.001):
                await reader.read()
        except TimeoutError:
            await other
            return "as it should"
        return "it came"

    other = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(read_for_a_while())
    await asyncio.sleep(0.01)
    if what == "an item":
        await reader.comes(1)
    else:
        await in_a_callback(lambda: reader.feed.resume(Reply(1, True)))
    await asyncio.sleep(0)
    other.set_result(None)
    assert await task == "as it should"


async def test_items_that_come_in_one_step_wake_once() -> None:
    reader = Reader()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    # From within a task: the reader goes on in the next turn, and not before.
    reader.feed.take(item(1))
    reader.feed.take(item(2))
    await waiting
    assert reader.got == [1, 2]
