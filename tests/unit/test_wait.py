"""A wait on a real loop: gone on from within the step, or in the next turn where a task runs."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from pool.exchange.wait import Wait

Step = Callable[[], object]


class Waiter:
    """A task that waits, and what it has come to know, in order."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.wait: Wait[str] = Wait(self.loop)
        self.told: list[str] = []
        self.task: asyncio.Task[None]

    async def begin(self) -> Waiter:
        self.task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def _run(self) -> None:
        try:
            self.told.append(await self.wait)
        except BaseException as error:
            self.told.append(type(error).__name__)
            raise

    async def in_a_callback(self, step: Step) -> None:
        """Take a step in which no task runs."""
        done = self.loop.create_future()

        def run() -> None:
            done.set_result(step())

        self.loop.call_soon(run)
        await done


@pytest.fixture
async def waiter() -> AsyncIterator[Waiter]:
    made = await Waiter().begin()
    yield made
    made.task.cancel()
    await asyncio.wait([made.task])


@pytest.fixture(autouse=True, params=[False, True], ids=["", "debug"])
async def _no_complaints(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """All of it with asyncio's debug mode too, and nothing is raised where nobody would see it."""
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_debug(request.param)
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
    yield
    await asyncio.sleep(0)
    assert not complaints


# Going on


async def test_the_task_goes_on_within_the_step_where_no_task_runs(waiter: Waiter) -> None:
    def step() -> list[str]:
        waiter.wait.resume("there")
        return list(waiter.told)

    seen: list[list[str]] = []
    await waiter.in_a_callback(lambda: seen.append(step()))
    assert seen == [["there"]]
    assert waiter.task.done()


async def test_it_goes_on_in_the_next_turn_where_a_task_runs(waiter: Waiter) -> None:
    waiter.wait.resume("there")
    assert waiter.told == []
    await asyncio.sleep(0)
    assert waiter.told == ["there"]


async def test_it_goes_on_in_the_next_turn_if_that_is_asked_for(waiter: Waiter) -> None:
    seen: list[str] = []

    def step() -> None:
        waiter.wait.resume_soon("there")
        seen.extend(waiter.told)

    await waiter.in_a_callback(step)
    await waiter.task
    assert (seen, waiter.told) == ([], ["there"])


async def test_it_goes_on_within_a_task_of_its_own_context(waiter: Waiter) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
    told: list[object] = []

    async def wait() -> None:
        variable.set("inside")
        await other.wait
        told.extend([variable.get(), asyncio.current_task() is task])

    other = Waiter()
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await waiter.in_a_callback(lambda: other.wait.resume("there"))
    assert told == ["inside", True]
    assert variable.get() == "outside"


async def test_what_the_task_awaits_next_is_awaited_as_ever(waiter: Waiter) -> None:
    async def wait_twice() -> list[str]:
        first = await one.wait
        await asyncio.sleep(0)
        return [first, await another.wait]

    one, another = Waiter(), Waiter()
    task = asyncio.create_task(wait_twice())
    await asyncio.sleep(0)
    await waiter.in_a_callback(lambda: one.wait.resume("a"))
    await waiter.in_a_callback(lambda: another.wait.resume("b"))
    assert await task == ["a", "b"]


async def test_what_is_there_already_is_not_waited_for() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    wait.resume("there")
    assert await wait == "there"


async def test_an_error_is_raised_where_it_is_awaited_in_the_next_turn(waiter: Waiter) -> None:
    waiter.wait.fail(KeyError("lost"))
    assert waiter.told == []
    with pytest.raises(KeyError, match="lost"):
        await waiter.task


async def test_an_error_that_is_there_already_is_raised_at_once() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    wait.fail(KeyError("lost"))
    with pytest.raises(KeyError):
        await wait


# Cancellation


async def test_a_task_that_is_cancelled_waits_no_more(waiter: Waiter) -> None:
    waiter.task.cancel("because")
    assert waiter.wait.is_done
    with pytest.raises(asyncio.CancelledError, match="because"):
        await waiter.task


async def test_cancelled_after_it_was_there_the_task_is_cancelled_all_the_same(
    waiter: Waiter,
) -> None:
    waiter.wait.resume_soon("there")
    waiter.task.cancel()
    await asyncio.wait([waiter.task])
    assert waiter.told == ["CancelledError"]
    assert waiter.task.cancelled()


async def test_a_task_cancelled_before_it_waits_never_does() -> None:
    waiter = Waiter()
    task = asyncio.create_task(waiter._run())
    task.cancel()
    await asyncio.wait([task])
    assert waiter.told == []
    assert not waiter.wait.is_done


async def test_a_wait_that_is_over_cannot_be_cancelled(waiter: Waiter) -> None:
    waiter.wait.resume("there")
    assert waiter.wait.cancel() is False
    await asyncio.sleep(0)
    assert waiter.told == ["there"]


# What others do with coroutines that wait


async def test_under_a_timeout_of_asyncio() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await wait
    assert wait.is_done


async def test_in_wait_for() -> None:
    async def wait() -> str:
        return await one

    one: Wait[str] = Wait(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(), 0.001)
    assert one.is_done

    one = Wait(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(lambda: one.resume("there"))
    assert await asyncio.wait_for(wait(), 5.0) == "there"


async def test_under_a_scope_of_anyio() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    with anyio.move_on_after(0.001) as scope:
        await wait
    assert scope.cancelled_caught
    assert wait.is_done
    await asyncio.sleep(0)  # and the scope leaves no cancellation behind


async def test_under_a_scope_that_is_cancelled_already() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await wait
    assert scope.cancelled_caught


async def test_under_a_shield_of_anyio() -> None:
    wait: Wait[str] = Wait(asyncio.get_running_loop())
    got: list[str] = []
    asyncio.get_running_loop().call_later(0.001, wait.resume, "there")
    with anyio.CancelScope() as scope:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            got.append(await wait)
    assert got == ["there"]


async def test_in_a_task_group_that_is_cancelled() -> None:
    waits: list[Wait[str]] = [Wait(asyncio.get_running_loop()) for _ in range(3)]

    async def wait(one: Wait[str]) -> None:
        await one

    async with anyio.create_task_group() as tasks:
        for one in waits:
            tasks.start_soon(wait, one)
        await asyncio.sleep(0)
        tasks.cancel_scope.cancel()
    assert all(one.is_done for one in waits)


async def test_gathered() -> None:
    async def wait(one: Wait[str]) -> str:
        return await one

    loop = asyncio.get_running_loop()
    waits: list[Wait[str]] = [Wait(loop) for _ in range(3)]
    for number, one in enumerate(waits):
        loop.call_soon(one.resume, str(number))
    assert await asyncio.gather(*map(wait, waits)) == ["0", "1", "2"]


async def test_the_last_step_of_a_task_may_be_taken_within_another_ones_callback() -> None:
    """Its done-callbacks run in later turns, as ever."""
    waiter, order = await Waiter().begin(), []
    waiter.task.add_done_callback(lambda _: order.append("done callback"))

    def step() -> None:
        waiter.wait.resume("there")
        order.append("step")

    await waiter.in_a_callback(step)
    await asyncio.sleep(0)
    assert order == ["step", "done callback"]
