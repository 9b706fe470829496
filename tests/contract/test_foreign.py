"""Executables that speak the wire with none of our code: served, and ended whatever they ignore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pool import (
    BrokenWorkerError,
    CallTimeout,
    EnvironmentInvalid,
    ProtocolError,
    RemoteError,
    WorkerPool,
    WorkerStartError,
)
from tests.contract.pools import until

HERE = Path(__file__).parent


def foreign(script: str, **options: Any) -> WorkerPool:
    options = {"size": 1, "grace_period": 0.2, **options}
    return WorkerPool(argv=[sys.executable, str(HERE / script)], **options)


async def test_a_plain_foreign_bridge_is_served() -> None:
    async with foreign("foreign_plain.py", size=2) as pool:
        await pool.wait_ready()
        assert await pool.call("echo", {"a": [1]}) == {"a": [1]}
        assert await pool.call("echo", {"a": 1}, session="s1") == {"a": 1, "session_id": "s1"}
        with pytest.raises(RemoteError, match="Unknown command: nope") as caught:
            await pool.call("nope")
        assert caught.value.error_type is None
        assert pool.stats().worker_exits == {}


async def test_a_vicious_foreign_bridge_is_served_and_nothing_of_it_is_left() -> None:
    async with foreign("foreign_vicious.py", size=2) as pool:
        await pool.wait_ready()
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
    assert pool.stats().total == 0


async def test_a_failure_reported_as_success_is_returned_as_it_is() -> None:
    async with foreign("foreign_vicious.py") as pool:
        assert await pool.call("fail") == {"error": "it failed"}


@pytest.mark.parametrize("value", [1, "text", [1], None])
async def test_results_that_are_no_objects_are_returned(value: object) -> None:
    async with foreign("foreign_vicious.py") as pool:
        assert await pool.call("scalar", {"value": value}) == value


async def test_a_late_answer_in_front_of_the_next_is_dropped() -> None:
    async with foreign("foreign_vicious.py") as pool:
        await pool.wait_ready()
        with pytest.raises(CallTimeout):
            await pool.call("late", {"seconds": 0.1}, timeout=0.02)
        assert await pool.call("echo", {"mine": 1}) == {"mine": 1}
        await until(pool, lambda stats: stats.late_replies == 1)


async def test_half_a_frame_and_death_is_a_broken_worker() -> None:
    async with foreign("foreign_vicious.py") as pool:
        with pytest.raises(BrokenWorkerError, match="middle of a frame"):
            await pool.call("half")
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


async def test_a_print_onto_stdout_kills_the_worker_and_is_quoted() -> None:
    async with foreign("foreign_vicious.py") as pool:
        with pytest.raises(ProtocolError, match=r"over the limit|hello"):
            await pool.call("print")
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


async def test_an_executable_that_is_not_there_is_a_problem_of_the_environment() -> None:
    async with WorkerPool(argv=["/no/such/bridge"], requires_env=["NO_SUCH_VARIABLE"]) as pool:
        with pytest.raises(EnvironmentInvalid) as caught:
            await pool.call("echo")
        assert len(caught.value.problems) == 2


async def test_an_executable_that_speaks_no_wire_cannot_be_started() -> None:
    async with WorkerPool(argv=["/bin/echo", "hello"], max_restarts=0) as pool:
        with pytest.raises(WorkerStartError):
            await pool.call("echo")
