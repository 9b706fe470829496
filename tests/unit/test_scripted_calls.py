"""Scripted children with many calls at a time, streams and batches, seen over their pipes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bridge.frames import encode
from pool.testing import Control, Obedient, ScriptedLauncher, run
from pool.testing.obedient import EVERYTHING
from pool.testing.pipes import CAPACITY

Told = list[tuple[float, dict[str, Any]]]


class Spoken:
    """A child that is spoken to in frames; `told` is what it said, with the seconds until then."""

    def __init__(self, launched: Any, child: Any) -> None:
        self.link = launched.link
        self.child = child
        self.told: Told = []
        self._began = asyncio.get_running_loop().time()
        self.link.start(self._hear, print, print)

    def _hear(self, payload: bytes) -> None:
        at = asyncio.get_running_loop().time() - self._began
        self.told.append((round(at, 3), msgspec.json.decode(payload)))

    def say(self, **members: Any) -> None:
        self.link.write(encode(msgspec.json.encode(members)))

    def shake_hands(self, concurrency: int) -> None:
        self.say(id=0, command="ping", args={"initialization": True, "concurrency": concurrency})

    @property
    def replies(self) -> list[tuple[float, int]]:
        """When which call had its reply."""
        return [(at, said["id"]) for at, said in self.told if "success" in said]

    def items(self, call_id: int) -> list[Any]:
        return [said["data"] for _, said in self.told if said["id"] == call_id and "event" in said]

    def reply(self, call_id: int) -> dict[str, Any]:
        [reply] = [said for _, said in self.told if said["id"] == call_id and "success" in said]
        return reply


@asynccontextmanager
async def spoken_to(**settings: Any) -> AsyncIterator[Spoken]:
    settings = {"capabilities": EVERYTHING, **settings}
    launcher = ScriptedLauncher(lambda: Obedient(**settings), lag=0.0)
    launched = await launcher.launch("child")
    yield Spoken(launched, launcher.children[0])
    launched.process.kill()
    await launched.process.exited
    launched.link.close()
    launched.stderr.close()


def test_as_many_calls_at_a_time_as_the_pool_says() -> None:
    async def main() -> object:
        async with spoken_to(call_time=1.0) as child:
            child.shake_hands(2)
            for number in (1, 2, 3):
                child.say(id=number, command="echo")
            child.say(id=4, command="ping")
            await asyncio.sleep(5.0)
            return child.replies

    assert run(main()) == [(0.0, 0), (0.0, 4), (1.0, 1), (1.0, 2), (2.0, 3)]


@pytest.mark.parametrize(("capabilities", "asked"), [((), 2), (EVERYTHING, 1)])
def test_one_at_a_time_where_it_can_no_more_or_is_not_asked(
    capabilities: tuple[str, ...], asked: int
) -> None:
    async def main() -> object:
        async with spoken_to(call_time=1.0, capabilities=capabilities) as child:
            child.shake_hands(asked)
            for number in (1, 2):
                child.say(id=number, command="echo")
            await asyncio.sleep(5.0)
            return child.replies

    assert run(main()) == [(0.0, 0), (1.0, 1), (2.0, 2)]


@pytest.mark.parametrize("cancel_time", [0.0, 1.5])
def test_a_cancelled_call_ends(cancel_time: float) -> None:
    async def main() -> None:
        async with spoken_to(call_time=5.0, cancel_time=cancel_time) as child:
            child.say(id=1, command="echo")
            child.say(id=2, command="echo")
            await asyncio.sleep(1.0)
            for number in (1, 2, 99):
                child.say(command="$cancel", args={"id": number})
            await asyncio.sleep(20.0)
            assert child.replies == [(1.0, 2), (1.0 + cancel_time, 1)]
            assert {child.reply(number)["error_type"] for number in (1, 2)} == {"Cancelled"}
            assert child.child.controls == [Control("$cancel", number) for number in (1, 2, 99)]

    run(main())


def test_a_call_that_ends_before_its_cancellation_takes_hold_has_one_reply() -> None:
    async def main() -> object:
        async with spoken_to(call_time=2.0, cancel_time=1.0) as child:
            child.say(id=1, command="echo")
            await asyncio.sleep(1.5)
            child.say(command="$cancel", args={"id": 1})
            await asyncio.sleep(5.0)
            return child.replies, child.reply(1)["success"]

    assert run(main()) == ([(2.0, 1)], True)


# Streams


def test_a_stream_takes_its_time_for_each_item() -> None:
    async def main() -> Told:
        async with spoken_to() as child:
            child.say(id=1, command="count", args={"n": 2, "delay": 0.5})
            await asyncio.sleep(5.0)
            return [(at, {**said, "timestamp": 0}) for at, said in child.told]

    item = {"id": 1, "event": "item", "timestamp": 0}
    reply = {"id": 1, "success": True, "result": {"items": 2}, "timestamp": 0}
    assert run(main()) == [
        (0.5, {**item, "data": {"i": 0}}),
        (1.0, {**item, "data": {"i": 1}}),
        (1.5, reply),
    ]


def test_a_stream_goes_as_far_as_its_credit() -> None:
    async def main() -> list[int]:
        async with spoken_to() as child:
            child.say(id=1, command="count", args={"n": 6}, credit=2)
            seen = []
            for _ in range(3):
                await asyncio.sleep(1.0)
                seen.append(len(child.items(1)))
                child.say(command="$credit", args={"id": 1, "items": 3})
            assert child.reply(1)["result"] == {"items": 6}
            return seen

    assert run(main()) == [2, 5, 6]


def test_without_the_capability_it_knows_no_credit() -> None:
    async def main() -> int:
        async with spoken_to(capabilities=()) as child:
            child.say(id=1, command="count", args={"n": 6}, credit=2)
            await asyncio.sleep(1.0)
            return len(child.items(1))

    assert run(main()) == 6


def test_a_stream_that_nobody_reads_stops_as_its_pipe_is_full() -> None:
    async def main() -> None:
        async with spoken_to(capabilities=()) as child:
            child.link.pause_reading()
            child.say(id=1, command="count", args={"n": 100_000})
            await asyncio.sleep(1.0)
            assert CAPACITY - 5000 < child.child.stdout.held < CAPACITY + 100
            child.link.resume_reading()
            await asyncio.sleep(1.0)
            assert len(child.items(1)) == 100_000

    run(main(), turns=10_000)


def shouts(args: dict[str, Any]) -> Iterator[str]:
    yield from args["text"]
    raise ValueError("no more")


def test_a_stream_that_fails_or_is_cancelled_says_so_after_its_items() -> None:
    async def main() -> None:
        async with spoken_to(commands={"shouts": shouts}) as child:
            child.shake_hands(2)
            child.say(id=1, command="shouts", args={"text": "abc"})
            child.say(id=2, command="count", args={"n": 9, "delay": 1.0})
            await asyncio.sleep(1.5)
            child.say(command="$cancel", args={"id": 2})
            await asyncio.sleep(1.0)
            assert child.items(1) == ["a", "b", "c"]
            assert (child.reply(1)["error"], child.reply(1)["error_type"]) == (
                "no more",
                "ValueError",
            )
            assert child.items(2) == [{"i": 0}]
            assert child.reply(2)["error_type"] == "Cancelled"

    run(main())


# Batches


def half(args: dict[str, Any]) -> float:
    return 1.0 / float(args["of"])


HALVES = [{"of": number} for number in (1, 2, 0, 4)]


def batched(**settings: Any) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        async with spoken_to(commands={"half": half}, **settings) as child:
            child.say(id=1, command="half", batch=HALVES)
            await asyncio.sleep(10.0)
            return [said for _, said in child.told]

    return run(main())


FAILURE = {"error": "float division by zero", "error_type": "ZeroDivisionError"}


def test_a_batch_has_a_result_or_a_failure_for_each() -> None:
    [reply] = batched()
    assert reply["results"] == [1.0, 0.5, None, 0.25]
    assert reply["failures"] == {"2": FAILURE}


def test_a_batch_tells_of_its_parts_as_they_are_done() -> None:
    first, reply = batched(portion=3, call_time=1.0)
    assert (first["event"], first["results"]) == ("results", [1.0, 0.5, None])
    assert first["failures"] == {"2": FAILURE}
    assert (reply["success"], reply["results"], reply["failures"]) == (True, [0.25], {})


def test_a_cancelled_batch_fails_what_is_left() -> None:
    async def main() -> None:
        async with spoken_to(commands={"half": half}, call_time=1.0) as child:
            child.say(id=1, command="half", batch=HALVES)
            await asyncio.sleep(1.5)
            child.say(command="$cancel", args={"id": 1})
            await asyncio.sleep(10.0)
            reply = child.reply(1)
            assert reply["results"] == [1.0, None, None, None]
            assert {told["error_type"] for told in reply["failures"].values()} == {"Cancelled"}
            assert {*reply["failures"]} == {"1", "2", "3"}

    run(main())


def test_no_stream_is_run_in_a_batch() -> None:
    async def main() -> object:
        async with spoken_to() as child:
            child.say(id=1, command="count", batch=[{"n": 1}])
            await asyncio.sleep(1.0)
            return child.reply(1)["failures"]["0"]["error_type"]

    assert run(main()) == "RuntimeError"
