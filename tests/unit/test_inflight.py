"""A call in flight: who gives it up, and who does not."""

from __future__ import annotations

import asyncio

import pytest

from bridge.messages import Reply
from pool.exchange.calls import prepare
from pool.exchange.inflight import Call

REPLY = Reply(1, True)


class Caller:
    """A task that awaits a call; `given_up` are the calls that it gave up."""

    def __init__(self) -> None:
        self.given_up: list[Call] = []
        prepared = prepare("echo", {}, None, 10_000)
        loop = asyncio.get_running_loop()
        self.call = Call(1, prepared, None, loop, self.given_up.append)

    async def begin(self) -> asyncio.Task[Reply]:
        async def wait() -> Reply:
            return await self.call

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        return task


async def test_the_reply_is_what_its_caller_gets() -> None:
    caller = Caller()
    task = await caller.begin()
    caller.call.resume(REPLY)
    assert await task is REPLY
    assert caller.given_up == []


async def test_a_caller_that_is_cancelled_gives_it_up() -> None:
    caller = Caller()
    task = await caller.begin()
    task.cancel()
    assert caller.given_up == []  # in its own step, and not before
    await asyncio.wait([task])
    assert caller.given_up == [caller.call]
    assert task.cancelled()


async def test_so_does_one_whose_reply_came_in_the_same_moment() -> None:
    caller = Caller()
    task = await caller.begin()
    caller.call.resume(REPLY)
    task.cancel()
    await asyncio.wait([task])
    assert caller.given_up == [caller.call]
    assert task.cancelled()


async def test_an_error_of_the_pools_does_not_give_it_up() -> None:
    caller = Caller()
    task = await caller.begin()
    caller.call.fail(TimeoutError("late"))
    with pytest.raises(TimeoutError, match="late"):
        await task
    assert caller.given_up == []


async def test_a_reply_that_is_there_already_is_not_waited_for() -> None:
    caller = Caller()
    caller.call.resume(REPLY)
    assert (await caller.begin()).done()


async def test_who_awaits_the_reply_alone_gets_no_item() -> None:
    caller = Caller()
    task = await caller.begin()
    caller.call.take(Reply(1))
    await asyncio.sleep(0)
    assert not task.done()
    caller.call.resume(REPLY)
    assert await task is REPLY
