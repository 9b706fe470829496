"""Maps of the real pool over scripted children: complete, in order, bounded, however they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from random import Random
from typing import Any

import anyio
import pytest

from pool import (
    Breaker,
    BrokenWorkerError,
    CallTimeout,
    CircuitOpen,
    LeaseClosed,
    PoolClosed,
    PoolError,
    PoolTimeout,
    RemoteError,
    RequestError,
    ResultTypeError,
    WorkerStartError,
)
from pool.dataset.results import Results
from pool.testing import (
    Child,
    Misbehaving,
    Obedient,
    Request,
    Script,
    ScriptedLauncher,
    ScriptedPool,
    Vices,
    run,
)
from pool.testing.obedient import EVERYTHING

Story = Callable[[ScriptedPool], Coroutine[Any, Any, None]]


def half(args: dict[str, Any]) -> float:
    return 1.0 / float(args["of"])


QUICK = 0.0001
"""Seconds, of a call and of all that children notice: so short that calls go in batches."""

COMMANDS: dict[str, Any] = {"half": half, "number": lambda args: args["i"]}


class Uneven(Obedient):
    """Some calls take longer than others, so that replies come in any order."""

    random = Random(0)

    def takes(self, request: Request) -> float:
        seconds = super().takes(request)
        return seconds * self.random.randrange(1, 8) if request.command in COMMANDS else seconds


def obedient(kind: type[Obedient] = Obedient, **settings: Any) -> Callable[[], Obedient]:
    given: Any = {"capabilities": EVERYTHING, "commands": COMMANDS, "call_time": QUICK, **settings}
    return lambda: kind(**given)


def told(
    story: Story, make_script: Callable[[], Script] | None = None, **settings: Any
) -> ScriptedLauncher:
    """Tell a story of a pool of two workers, in several orders; nothing is left after it."""
    for seed in (None, *range(3)):
        launcher = ScriptedLauncher(make_script or obedient(), seed=seed, lag=QUICK)

        async def main(launcher: ScriptedLauncher = launcher) -> None:
            options: Any = {"size": 2, "late_reply_timeout": 5.0, **settings}
            async with ScriptedPool(launcher, **options) as pool:
                await story(pool)
                await asyncio.sleep(5.0)
                assert pool.stats().inflight_calls == 0
            launcher.assert_nothing_left()

        run(main(), seed=seed)
    return launcher


def numbers(many: int) -> list[dict[str, int]]:
    return [{"i": i} for i in range(many)]


async def read(results: Results) -> list[Any]:
    return [result async for result in results]


def batches(launcher: ScriptedLauncher) -> list[int]:
    """How many calls were in each batch."""
    requests = [request for child in launcher.children for request in child.requests]
    return [len(request.batch) for request in requests if request.batch is not None]


@pytest.fixture(params=[True, False], ids=["batches", "single"])
def batched(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# All of it


@pytest.mark.parametrize("concurrency", [1, 4])
def test_each_item_has_its_result_in_its_place(batched: bool, concurrency: int) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", numbers(500), batches=batched) as results:
            places = [(results.index, result) async for result in results]
        assert places == [(i, i) for i in range(500)]

    launcher = told(story, obedient(Uneven), concurrency=concurrency)
    assert bool(batches(launcher)) is batched


def test_unordered_results_come_as_they_are_there_and_each_once() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", numbers(300), ordered=False, batches=False) as results:
            places = [(results.index, result) async for result in results]
        assert all(place == result for place, result in places)
        assert places != sorted(places)
        assert sorted(result for _, result in places) == list(range(300))

    told(story, obedient(Uneven), concurrency=4)


@pytest.mark.parametrize("items", [[], iter([]), {}.keys()])
def test_of_nothing_there_is_nothing(items: Any) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", items) as results:
            assert await read(results) == []
        assert pool.stats().worker_starts == 0

    run(alone(story))


async def alone(story: Story, **settings: Any) -> None:
    """A story with children that do as they should, told once."""
    async with ScriptedPool(ScriptedLauncher(obedient(), lag=QUICK), size=2, **settings) as pool:
        await story(pool)


def test_errors_are_in_their_places_and_the_rest_is_not_hurt(batched: bool) -> None:
    items = [{"of": i % 5} for i in range(200)]

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("half", items, batches=batched, return_exceptions=True) as results:
            got = await read(results)
        for item, result in zip(items, got, strict=True):
            if item["of"]:
                assert result == 1.0 / item["of"]
            else:
                assert isinstance(result, RemoteError)
                assert result.error_type == "ZeroDivisionError"
        assert pool.stats().calls == {"ok": 160, "error": 40}

    launcher = told(story)
    assert bool(batches(launcher)) is batched


def test_an_error_is_raised_and_the_next_result_can_be_asked_for(batched: bool) -> None:
    async def story(pool: ScriptedPool) -> None:
        got: list[Any] = []
        async with pool.map("half", [{"of": i % 4} for i in range(100)], batches=batched) as all_:
            while True:
                try:
                    got.append(await anext(all_))
                except RemoteError:
                    got.append(None)
                except StopAsyncIteration:
                    break
        assert got == [None if i % 4 == 0 else 1.0 / (i % 4) for i in range(100)]

    told(story)


def test_each_error_is_one_of_its_own() -> None:
    class DiesOnce(Obedient):
        has_died = False

        def begin(self, child: Child, request: Request) -> None:
            if len(request.batch or []) > 10 and not DiesOnce.has_died:
                DiesOnce.has_died = True
                child.exit(3)
            else:
                super().begin(child, request)

    async def story(pool: ScriptedPool) -> None:
        DiesOnce.has_died = False
        async with pool.map("number", numbers(200), return_exceptions=True) as results:
            errors = [result for result in await read(results) if isinstance(result, PoolError)]
        assert len(errors) > 10
        assert len({id(error) for error in errors}) == len(errors)
        assert all(isinstance(error, BrokenWorkerError) for error in errors)

    told(story, obedient(DiesOnce))


def test_a_result_of_another_type_costs_its_item(batched: bool) -> None:
    async def story(pool: ScriptedPool) -> None:
        items = [{"i": i if i % 3 else "x"} for i in range(60)]
        settings: Any = {"batches": batched, "return_exceptions": True, "result_type": int}
        async with pool.map("number", items, **settings) as results:
            got = await read(results)
        odd = [i for i, result in enumerate(got) if isinstance(result, ResultTypeError)]
        assert odd == list(range(0, 60, 3))

    told(story)


def test_arguments_that_cannot_be_sent_cost_their_item(batched: bool) -> None:
    async def story(pool: ScriptedPool) -> None:
        items: list[Any] = [{"i": object()} if i == 30 else {"i": i} for i in range(60)]
        settings: Any = {"batches": batched, "return_exceptions": True}
        async with pool.map("number", items, **settings) as results:
            got = await read(results)
        assert isinstance(got.pop(30), RequestError)
        assert got == [i for i in range(60) if i != 30]

    told(story)


def test_batches_fit_into_a_frame() -> None:
    async def story(pool: ScriptedPool) -> None:
        items = [{"i": i, "text": "x" * 500} for i in range(300)]
        async with pool.map("number", items) as results:
            assert await read(results) == list(range(300))

    launcher = told(story, max_frame_bytes=4096)
    assert 1 < max(batches(launcher)) < 8


def test_a_bridge_that_refuses_batches_says_why() -> None:
    class Refuses(Obedient):
        def begin(self, child: Child, request: Request) -> None:
            if request.batch is None:
                super().begin(child, request)
            else:
                child.fail(request.id, "not today", error_type="Refused")
                self.done(child, request)

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", numbers(60), return_exceptions=True) as results:
            refused = [result for result in await read(results) if not isinstance(result, int)]
        assert len(refused) > 10
        assert {type(error) for error in refused} == {RemoteError}
        assert {str(error) for error in refused} == {"Refused: not today"}

    told(story, obedient(Refuses))


@pytest.mark.parametrize(("failures", "call_time"), [(1, QUICK), (20, QUICK), (20, 0.001)])
def test_a_breaker_sees_each_call(batched: bool, failures: int, call_time: float) -> None:
    items = [{"of": int(i < 100)} for i in range(300)]

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("half", items, batches=batched, return_exceptions=True) as results:
            got = await read(results)
        assert got[:100] == [1.0] * 100
        assert {type(error) for error in got[100:]} == {RemoteError, CircuitOpen}
        assert pool.stats().circuits == {"half": "open"}

    # Of those that take long, fewer are in a batch than open a circuit.
    told(story, obedient(call_time=call_time), breaker=Breaker(failures=failures))


def test_a_breaker_is_not_told_of_a_frame_but_of_its_calls() -> None:
    """One in ten fails: no row of two, however they are put together."""
    items = [{"of": i % 10} for i in range(300)]

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("half", items, return_exceptions=True) as results:
            got = await read(results)
        assert sum(isinstance(result, RemoteError) for result in got) == 30
        assert pool.stats().circuits == {}

    told(story, breaker=Breaker(failures=2))


# What is taken of the dataset


@pytest.mark.parametrize("most", [1, 2, 7])
@pytest.mark.parametrize("slow", [False, True], ids=["", "async"])
@pytest.mark.parametrize("ordered", [True, False])
def test_no_more_is_taken_than_may_be_in_flight(most: int, slow: bool, ordered: bool) -> None:
    taken = 0

    def items() -> Iterator[dict[str, int]]:
        nonlocal taken
        for i in range(60):
            taken += 1
            yield {"i": i}

    async def items_later() -> AsyncIterator[dict[str, int]]:
        for item in items():
            await asyncio.sleep(0.002)
            yield item

    async def story(pool: ScriptedPool) -> None:
        nonlocal taken
        taken = 0
        source: Any = items_later() if slow else items()
        settings: Any = {"max_in_flight": most, "ordered": ordered}
        async with pool.map("number", source, **settings) as results:
            for got in range(60):
                assert taken <= got + ahead
                await asyncio.sleep(0.01)
                assert taken <= got + ahead
                await anext(results)

    # The results of a batch count as read with the first of them.
    ahead = most if slow else 2 * most - 1
    told(story, obedient(Uneven))


def test_an_endless_dataset_is_taken_as_it_is_read() -> None:
    async def story(pool: ScriptedPool) -> None:
        endless = count()
        async with pool.map("number", ({"i": i} for i in endless)) as results:
            async for result in results:
                if result == 1000:
                    break
        assert next(endless) < 20_000

    told(story)


def test_an_asynchronous_dataset_is_taken_item_by_item() -> None:
    async def items() -> AsyncIterator[dict[str, int]]:
        for i in range(100):
            await asyncio.sleep(0.001)
            yield {"i": i}

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", items()) as results:
            assert await read(results) == list(range(100))

    assert not batches(told(story))


def test_an_error_of_the_dataset_comes_after_the_results_before_it(batched: bool) -> None:
    def items() -> Iterator[dict[str, int]]:
        yield from numbers(50)
        raise KeyError("the user's own")

    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", items(), batches=batched) as results:
            assert [await anext(results) for _ in range(50)] == list(range(50))
            with pytest.raises(KeyError, match="the user's own"):
                await anext(results)

    told(story)


# The end


def test_left_early_nothing_goes_on(batched: bool) -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", numbers(10_000), batches=batched) as results:
            async for result in results:
                if result == 100:
                    break
        before = pool.stats().calls["ok"]
        await asyncio.sleep(1.0)
        assert pool.stats().calls["ok"] == before
        assert await pool.call("number", {"i": 7}, timeout=1.0) == 7

    told(story)


def test_leaving_does_not_wait_for_what_runs() -> None:
    async def story(pool: ScriptedPool) -> None:
        loop = asyncio.get_running_loop()
        async with pool.map("sleep", [{"seconds": 60.0}] * 5):
            await asyncio.sleep(1.0)
            began = loop.time()
        assert loop.time() - began < 0.1

    told(story)


def test_what_the_block_raises_goes_on_as_it_is() -> None:
    async def story(pool: ScriptedPool) -> None:
        async def use(error: Exception) -> None:
            async with pool.map("number", numbers(100)) as results:
                await anext(results)
                raise error

        with pytest.raises(KeyError, match="the user's own"):
            await use(KeyError("the user's own"))

    told(story)


def test_who_reads_after_the_block_is_told_that_it_is_over() -> None:
    async def story(pool: ScriptedPool) -> None:
        async with pool.map("number", numbers(1000), max_in_flight=3) as results:
            reading = asyncio.ensure_future(read(results))
            await asyncio.sleep(0.0)
        with pytest.raises(LeaseClosed, match="its block was left"):
            await reading
        async with pool.map("number", numbers(3)) as results:
            assert await read(results) == [0, 1, 2]
        with pytest.raises(StopAsyncIteration):
            await anext(results)

    told(story)


@pytest.mark.parametrize("way", ["cancel", "timeout", "scope"])
def test_a_block_that_is_cancelled_is_left(way: str) -> None:
    async def use(pool: ScriptedPool) -> None:
        async with pool.map("number", ({"i": i} for i in count())) as results:
            async for _ in results:
                pass

    async def story(pool: ScriptedPool) -> None:
        if way == "cancel":
            using = asyncio.ensure_future(use(pool))
            await asyncio.sleep(0.5)
            using.cancel()
            await asyncio.wait([using])
            assert using.cancelled()
        elif way == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await use(pool)
        else:
            with anyio.move_on_after(0.5) as scope:
                await use(pool)
            assert scope.cancelled_caught
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await pool.call("number", {"i": 7}, timeout=1.0) == 7

    told(story)


def test_a_map_is_entered_once() -> None:
    async def story(pool: ScriptedPool) -> None:
        mapping = pool.map("number", [])
        async with mapping:
            with pytest.raises(RuntimeError, match="once"):
                await mapping.__aenter__()

    run(alone(story))


@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_pool_that_closes_ends_it(most: int | None, ordered: bool) -> None:
    async def use(pool: ScriptedPool) -> None:
        items = ({"i": i} for i in count())
        settings: Any = {"max_in_flight": most, "ordered": ordered, "return_exceptions": True}
        async with pool.map("number", items, **settings) as results:
            await read(results)

    async def story(pool: ScriptedPool) -> None:
        using = asyncio.create_task(use(pool))
        await asyncio.sleep(0.02)
        await pool.aclose()
        with pytest.raises(PoolClosed):
            await using

    for seed in range(20):
        launcher = ScriptedLauncher(obedient(Uneven), seed=seed, lag=QUICK)

        async def main(launcher: ScriptedLauncher = launcher) -> None:
            pool = ScriptedPool(launcher, size=2, concurrency=2)
            await pool.open()
            await story(pool)
            launcher.assert_nothing_left()

        run(main(), seed=seed)


class DiesOfZero(Obedient):
    """As soon as it has thought about it."""

    def begin(self, child: Child, request: Request) -> None:
        if request.args.get("i") == 0:
            child.later(1.0, child.exit, 3)
        else:
            super().begin(child, request)


class NeverStarts(Obedient):
    def started(self, child: Child) -> None:
        child.exit(1)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_ends_the_whole_ends_those_too_who_wait_for_room(ordered: bool) -> None:
    """The first call is the last to fail; until then nobody reads, and so nothing is taken."""

    async def use(pool: ScriptedPool) -> None:
        settings: Any = {"max_in_flight": 2, "idempotent": True, "ordered": ordered}
        async with pool.map("number", numbers(5), **settings) as results:
            await asyncio.sleep(5.0)
            await read(results)

    for seed in (None, *range(5)):
        scripts = iter([obedient(DiesOfZero), obedient(DiesOfZero)])
        launcher = ScriptedLauncher(
            lambda scripts=scripts: next(scripts, obedient(NeverStarts))(),  # type: ignore[misc]
            seed=seed,
        )

        async def main(launcher: ScriptedLauncher = launcher) -> None:
            async with ScriptedPool(launcher, size=2, max_restarts=0) as pool:
                with pytest.raises(WorkerStartError, match="crash loop"):
                    await use(pool)

        run(main(), seed=seed)


# Workers that are lost


class Mortal(Misbehaving):
    """Dies of the item 33, once in the life of all of them."""

    victims: list[int]

    def begin(self, child: Child, request: Request) -> None:
        calls = request.batch if request.batch is not None else [request.args]
        if self.victims and any(args.get("i") in self.victims for args in calls):
            self.victims.clear()
            child.later(QUICK / 2, child.exit, 3)
        super().begin(child, request)


def mortal() -> Callable[[], Script]:
    victims = [33]

    def make() -> Script:
        given: Any = {"capabilities": EVERYTHING, "commands": COMMANDS, "call_time": QUICK}
        script = Mortal(Random(0), Vices.only(), **given)
        script.victims = victims
        return script

    return make


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_lost_worker_costs_what_was_on_it_unless_it_may_be_made_again(
    batched: bool, idempotent: bool, concurrency: int
) -> None:
    async def main(launcher: ScriptedLauncher) -> list[Any]:
        async with ScriptedPool(launcher, size=2, concurrency=concurrency) as pool:
            settings: Any = {"idempotent": idempotent, "batches": batched}
            async with pool.map(
                "number", numbers(200), return_exceptions=True, **settings
            ) as results:
                got = await read(results)
            calls = pool.stats().calls
        assert calls["ok"] == sum(type(result) is int for result in got)
        assert idempotent or calls["worker_lost"] == 200 - calls["ok"]
        return got

    for seed in range(5):
        launcher = ScriptedLauncher(mortal(), seed=seed, lag=QUICK)
        got = run(main(launcher), seed=seed)
        lost = [i for i, result in enumerate(got) if isinstance(result, BrokenWorkerError)]
        assert len(got) == 200
        assert [i for i in range(200) if got[i] != i] == lost
        assert (33 in lost) is not idempotent
        assert idempotent is not bool(lost)
        launcher.assert_nothing_left()


@pytest.mark.parametrize(
    "vice", ["too_few_results", "too_many_results", "senseless_failures", "never_answers"]
)
@pytest.mark.parametrize("idempotent", [False, True])
def test_what_a_batch_does_not_tell_is_an_error_or_is_called_again(
    vice: str, idempotent: bool
) -> None:
    class BadBatches(Misbehaving):
        def begin(self, child: Child, request: Request) -> None:
            if request.batch is not None and len(request.batch) > 2:
                getattr(self, vice)(child, request)
            else:
                self.behave(child, request)

    def make() -> Script:
        given: Any = {"capabilities": EVERYTHING, "commands": {"echo": lambda args: args}}
        return BadBatches(Random(0), Vices.only(), **given)

    async def story(pool: ScriptedPool) -> None:
        settings: Any = {"idempotent": idempotent, "timeout": 3.0, "return_exceptions": True}
        async with pool.map("echo", numbers(100), **settings) as results:
            got = await read(results)
        assert len(got) == 100
        wrong = [result for i, result in enumerate(got) if result != {"i": i}]
        kinds = {type(error) for error in wrong}
        if vice == "too_few_results" and not idempotent:
            assert ResultTypeError in kinds  # and results that are the neighbours': it lied
        elif vice == "never_answers" and not idempotent:
            assert CallTimeout in kinds
            assert kinds <= {CallTimeout, PoolTimeout}  # the latter behind the former
        elif vice == "too_many_results":
            assert not wrong

    told(story, make, late_reply_timeout=1.0)
