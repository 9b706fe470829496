"""What a bridge tells of the time that a call takes it: in all, and in phases of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pool import RemoteError, WorkerPool
from pool.telemetry.events import CallFinished, Event
from tests.contract.pools import make_pool
from tests.contract.raw_client import RawClient

BRIDGE = "tests.contract.timed_bridge"
TICK = 0.01
"""Seconds that a part of a command takes, at least."""


def hear_calls(pool: WorkerPool) -> list[CallFinished]:
    heard: list[CallFinished] = []

    def hear(events: Sequence[Event]) -> None:
        heard.extend(event for event in events if isinstance(event, CallFinished))

    pool.listen(hear, [CallFinished])
    return heard


def phases(call: CallFinished) -> dict[str, float]:
    return {} if call.phases is None else json.loads(bytes(call.phases))


async def run(pool: WorkerPool, command: str, args: dict[str, Any]) -> None:
    if command in ("items", "aitems"):
        async with pool.stream(command, args) as items:
            assert [item async for item in items] == [0, 1, 2]
    else:
        await pool.call(command, args)


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("command", ["plain", "awaited", "items", "aitems", "in_threads"])
async def test_every_kind_of_command_tells(command: str, concurrency: int) -> None:
    pool = make_pool("forkserver", BRIDGE, size=1, concurrency=concurrency)
    heard = hear_calls(pool)
    async with pool:
        await run(pool, command, {"seconds": TICK, "times": 3})
    (call,) = heard
    told = phases(call)
    assert set(told) == {"all", "part"}
    assert call.compute is not None
    side_by_side = command == "in_threads"
    assert told["part"] >= 3 * TICK
    # All are rounded to the microsecond.
    assert told["all"] >= (TICK if side_by_side else told["part"] - 1e-5)
    assert told["all"] <= call.compute + 1e-5
    assert call.compute <= call.seconds


async def test_calls_that_run_together_are_kept_apart() -> None:
    pool = make_pool("forkserver", BRIDGE, size=1, concurrency=8)
    heard = hear_calls(pool)
    async with pool:
        await pool.wait_ready()
        calls = [
            pool.call(command, {"seconds": TICK, "times": times})
            for command in ("plain", "awaited")
            for times in (1, 2, 3, 4)
        ]
        await asyncio.gather(*calls)
    assert len(heard) == 8
    for command in ("plain", "awaited"):
        parts = sorted(phases(call)["part"] for call in heard if call.command == command)
        assert all(times * TICK <= part for times, part in enumerate(parts, 1))
    # With a neighbour's in it, it would be more than the call itself took.
    assert all(phases(call)["all"] <= (call.compute or 0.0) + 1e-5 for call in heard)


async def test_a_batch_tells_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pool.dataset.batching.TARGET", 60.0)  # also where the machine is busy
    pool = make_pool("forkserver", BRIDGE, size=1)
    heard = hear_calls(pool)
    async with pool:
        for command in ("plain", "awaited"):
            items = [{"seconds": 0.0, "times": 1}] * 40
            async with pool.map(command, items, max_in_flight=40) as results:
                assert [result async for result in results] == ["done"] * 40
        async with pool.map(
            "fails_if", [{"odd": i} for i in range(40)], return_exceptions=True
        ) as results:
            assert len([result async for result in results]) == 40
    batches = [call for call in heard if call.calls > 1]
    assert {call.command for call in batches} == {"plain", "awaited", "fails_if"}
    for batch in batches:
        assert batch.compute is not None
        assert 0 < phases(batch)["part"] <= batch.compute + 1e-5


async def test_a_failure_tells_how_long_it_took() -> None:
    pool = make_pool("forkserver", BRIDGE, size=1)
    heard = hear_calls(pool)
    async with pool:
        with pytest.raises(RemoteError):
            await pool.call("fails", {"seconds": TICK})
        with pytest.raises(RemoteError):
            await pool.call("fails", {"seconds": "long"})
    failed, refused = heard
    assert failed.compute is not None
    assert failed.compute >= phases(failed)["part"] - 1e-5 >= TICK - 1e-5
    assert (refused.compute, phases(refused)) == (None, {})


async def test_what_is_no_part_of_a_call_is_not_told() -> None:
    pool = make_pool("spawn", BRIDGE, size=1)
    heard = hear_calls(pool)
    async with pool:
        assert await pool.call("silent") == "done"
        assert await pool.call("in_a_thread_of_its_own") == "done"
    assert [phases(call) for call in heard] == [{}, {}]
    assert all(call.compute is not None for call in heard)


@pytest.mark.parametrize("launcher", ["spawn", "forkserver", "argv"])
async def test_every_launcher_tells(launcher: str) -> None:
    pool = make_pool(launcher, BRIDGE, size=1)
    heard = hear_calls(pool)
    async with pool:
        await pool.call("plain", {"seconds": 0.0})
    assert set(phases(heard[0])) == {"all", "part"}


async def test_a_foreign_bridge_tells_nothing_and_is_served() -> None:
    script = str(Path(__file__).parent / "foreign_plain.py")
    pool = WorkerPool(argv=[sys.executable, script], size=1, grace_period=0.2)
    heard = hear_calls(pool)
    async with pool:
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
    assert (heard[0].compute, heard[0].phases) == (None, None)


# The wire


@pytest.fixture(scope="module")
def client() -> Any:
    with RawClient(BRIDGE) as client:
        yield client


def test_a_reply_has_what_the_wire_says_and_no_more(client: RawClient) -> None:
    quiet = client.ask("silent")
    assert set(quiet) == {"id", "success", "result", "wrapped", "timestamp", "compute"}
    told = client.ask("plain", {"seconds": 0})
    assert set(told) - set(quiet) == {"phases"}
    refused = client.ask("plain", {})
    assert not {"compute", "phases"} & set(refused)
    assert "compute" not in client.ask("no_such")


@pytest.mark.parametrize("command", ["forgets", "aforgets"])
def test_nobody_keeps_the_arguments_when_the_command_has_returned(
    client: RawClient, command: str
) -> None:
    """They may be large, and so may what has to be encoded then."""
    args = {"big": {"text": "x"}}
    assert client.ask(command, args)["result"] == {"gone": True}
    client.send(command, batch=[args, args])
    assert client.until_reply()[1]["results"] == [{"gone": True}] * 2


def test_there_are_so_many_names_of_such_a_length(client: RawClient) -> None:
    told = client.ask("many", {"n": 60})["phases"]
    assert list(told) == [f"{i:03}" + "x" * 97 for i in range(50)]


def test_a_name_that_json_cannot_say_costs_no_call() -> None:
    with RawClient("tests.contract.odd_phases") as client:
        assert list(client.ask("odd")["phases"]) == ["\\udc80"]


def test_phases_that_do_not_fit_are_left_out_of_the_reply() -> None:
    with RawClient(BRIDGE, "--max-frame-bytes", "2048") as client:
        made = client.ask("many", {"n": 50})
        assert (made["success"], "compute" in made, "phases" in made) == (True, True, False)
        client.send("many", batch=[{"n": 50}])
        _, made = client.until_reply()
        assert made["results"] == ["done"]
        assert ("compute" in made, "phases" in made) == (True, False)
