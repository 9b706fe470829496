"""A misbehaving worker: which error its caller gets, and that the pool is whole again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pool import (
    BrokenWorkerError,
    EnvironmentInvalid,
    PoolState,
    PoolTimeout,
    ProtocolError,
    RemoteError,
    WorkerError,
    WorkerPool,
    WorkerStartError,
)
from tests.contract.pools import make_pool, until


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with make_pool("spawn", "bridge.faulty", size=1, min_ready=1) as made:
        await made.wait_ready()
        yield made


DEATHS: list[tuple[str, dict[str, Any], type[WorkerError], int | None]] = [
    ("crash", {"way": "exit", "status": 0}, BrokenWorkerError, 0),
    ("crash", {"way": "exit", "status": 3}, BrokenWorkerError, 3),
    ("crash", {"way": "exception", "status": 4}, BrokenWorkerError, 4),
    ("crash", {"way": "signal"}, BrokenWorkerError, -signal.SIGKILL),
    ("crash", {"way": "segfault"}, BrokenWorkerError, -signal.SIGSEGV),
    ("crash", {"way": "abort"}, BrokenWorkerError, -signal.SIGABRT),
    ("half_frame", {}, BrokenWorkerError, 0),
    ("close_stdout", {}, BrokenWorkerError, -signal.SIGKILL),
    ("huge_length", {}, ProtocolError, -signal.SIGKILL),
    ("garbage", {}, ProtocolError, -signal.SIGKILL),
    ("wrong_id", {}, ProtocolError, -signal.SIGKILL),
]


@pytest.mark.parametrize(("vice", "args", "error", "returncode"), DEATHS)
async def test_a_worker_that_dies_in_a_call_is_a_named_error_and_is_replaced(
    pool: WorkerPool,
    vice: str,
    args: dict[str, Any],
    error: type[WorkerError],
    returncode: int | None,
) -> None:
    await pool.call("work")
    with pytest.raises(error) as caught:
        await pool.call(vice, args)
    assert type(caught.value) is error
    assert caught.value.returncode == returncode
    assert await pool.call("echo", {"a": 1}) == {"a": 1}
    assert sum(pool.stats().worker_exits.values()) == 1


async def test_senseless_bytes_are_quoted(pool: WorkerPool) -> None:
    with pytest.raises(ProtocolError, match="not a reply"):
        await pool.call("garbage")
    with pytest.raises(ProtocolError, match="4294967295 bytes is over the limit"):
        await pool.call("huge_length")
    with pytest.raises(BrokenWorkerError, match="middle of a frame"):
        await pool.call("half_frame")


async def test_a_worker_that_dies_after_a_successful_call_is_replaced(pool: WorkerPool) -> None:
    assert await pool.call("answer_and_crash") == {"answered": True}
    stats = await until(pool, lambda stats: stats.replacements == 1 and stats.idle == 1)
    assert (stats.worker_starts, stats.worker_exits) == (2, {"crash": 1})


async def test_a_second_answer_is_dropped(pool: WorkerPool) -> None:
    assert await pool.call("duplicate_reply") == {"answer": 1}
    assert await pool.call("echo", {"a": 1}) == {"a": 1}
    assert pool.stats().late_replies == 1


async def test_prints_reach_the_log_and_not_the_wire(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bridgepool"):
        async with make_pool("spawn", "bridge.faulty", size=1) as talking:
            reply = await talking.call("print_on_stdout", {"text": "hello"})
    assert reply == {"printed": "hello"}
    lines = [record.getMessage() for record in caplog.records if "stderr" in record.name]
    assert {f"faulty-1: {way}: hello" for way in ("python", "descriptor", "c", "child")} <= set(
        lines
    )


async def test_a_flood_on_stderr_is_drained_and_its_end_kept(pool: WorkerPool) -> None:
    assert await pool.call("flood_stderr", {"megabytes": 100}) == {"megabytes": 100}
    with pytest.raises(BrokenWorkerError) as caught:
        await pool.call("crash")
    assert len(caught.value.stderr_tail) == 64 * 1024


async def test_a_grandchild_that_holds_the_pipe_does_not_hold_up_the_pool(pool: WorkerPool) -> None:
    async with pool.checkout() as worker:
        await worker.call("leave_grandchild")
        with pytest.raises(BrokenWorkerError) as caught:
            await worker.call("crash")
    assert caught.value.returncode == 3
    assert await pool.call("echo", {"a": 1}) == {"a": 1}


async def test_a_result_that_cannot_be_sent_leaves_the_worker_healthy(pool: WorkerPool) -> None:
    with pytest.raises(RemoteError, match="cannot be sent as JSON"):
        await pool.call("unencodable")
    assert pool.stats().worker_starts == 1


async def test_a_result_too_large_is_an_error_reply_of_our_bridge() -> None:
    async with make_pool("spawn", "bridge.faulty", max_frame_bytes=4096) as pool:
        with pytest.raises(RemoteError) as caught:
            await pool.call("big_result", {"size": 5000})
        assert caught.value.error_type == "ResultTooLarge"
        assert pool.stats().worker_exits == {}


@pytest.mark.parametrize(
    "options",
    [{"ignore_sigterm": True}, {"ignore_end_of_file": True}, {}],
    ids=["ignores SIGTERM", "ignores end of file", "obeys"],
)
async def test_closing_is_bounded_whatever_the_worker_ignores(options: dict[str, Any]) -> None:
    pool = make_pool("spawn", "bridge.faulty", options=options, grace_period=0.1)
    async with pool:
        await pool.wait_ready()
    assert pool.stats().total == 0


async def test_a_worker_that_is_stopped_is_closed_all_the_same() -> None:
    async with make_pool("spawn", size=1, grace_period=0.1) as pool:
        await pool.wait_ready()
        os.kill(pool.stats().workers[0].pid or 0, signal.SIGSTOP)


# Start-up


START_FAILURES = [
    ({"exit_before_ready": 7}, 7, "exited with status 7 before it was ready"),
    ({"fail_start": "no weights"}, 1, "no weights"),
    ({"nonsense": 1}, 1, "nonsense"),
]


@pytest.mark.parametrize(("options", "returncode", "said"), START_FAILURES)
async def test_a_start_that_fails_for_good_becomes_a_crash_loop_with_its_first_cause(
    options: dict[str, Any], returncode: int, said: str
) -> None:
    async with make_pool("spawn", "bridge.faulty", options=options, max_restarts=1) as pool:
        with pytest.raises(WorkerStartError, match=said) as caught:
            await pool.call("echo")
        assert caught.value.returncode == returncode
        assert pool.stats().state is PoolState.FAILED
        with pytest.raises(WorkerStartError, match="crash loop"):
            await pool.call("echo")
        with pytest.raises(WorkerStartError):
            await pool.wait_ready()


async def test_a_start_that_takes_too_long_is_given_up() -> None:
    options = {"never_ready": True}
    async with make_pool(
        "spawn", "bridge.faulty", options=options, start_timeout=1.0, max_restarts=0
    ) as pool:
        with pytest.raises(WorkerStartError, match="not ready within 1 s"):
            await pool.call("echo")


async def test_who_waits_in_vain_for_a_failing_start_learns_why() -> None:
    options = {"exit_before_ready": 7}
    async with make_pool("spawn", "bridge.faulty", options=options, max_restarts=99) as pool:
        with pytest.raises(PoolTimeout, match="Workers fail to start") as caught:
            async with pool.checkout(timeout=6):
                pass
        assert isinstance(caught.value.__cause__, WorkerStartError)
        assert "told to exit" in caught.value.__cause__.stderr_tail


async def test_after_failed_starts_waiters_are_served_once_a_start_succeeds(tmp_path: Path) -> None:
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    options = {"exit_while_exists": str(obstacle)}
    async with make_pool("spawn", "bridge.faulty", options=options, max_restarts=99) as pool:
        waiting = [asyncio.create_task(pool.call("echo", {"i": i})) for i in range(3)]
        await until(pool, lambda stats: stats.failed_starts >= 2)
        obstacle.unlink()
        assert [await task for task in waiting] == [{"i": i} for i in range(3)]
        assert pool.stats().restarts_in_window == 0


async def test_a_bridge_that_cannot_be_imported_shows_its_traceback() -> None:
    async with make_pool("spawn", "tests.contract.broken_import", max_restarts=0) as pool:
        with pytest.raises(WorkerStartError, match="ZeroDivisionError"):
            await pool.call("echo")


# Environment


async def test_an_unfit_environment_is_reported_whole_to_all_and_asked_again_at_the_next_need() -> (
    None
):
    pool = make_pool(
        "spawn", "no.such.bridge", requires=["no-such-thing"], requires_env=["NO_SUCH_VARIABLE"]
    )
    async with pool:
        calls = [pool.call("echo") for _ in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            assert isinstance(result, EnvironmentInvalid)
            for word in ("no.such.bridge", "no-such-thing", "NO_SUCH_VARIABLE"):
                assert any(word in problem for problem in result.problems)
        assert pool.stats().validations == {"failed": 1}
        with pytest.raises(EnvironmentInvalid):
            await pool.wait_ready()
        assert (pool.stats().validations, pool.stats().worker_starts) == ({"failed": 2}, 0)


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/true"])
async def test_an_interpreter_that_cannot_run_the_bridge_is_a_problem(python: str) -> None:
    async with WorkerPool("bridge.echo", python=python) as pool:
        with pytest.raises(EnvironmentInvalid, match="interpreter"):
            await pool.call("echo")


async def test_eight_starts_at_once_cause_one_validation() -> None:
    async with make_pool("spawn", size=8, start_concurrency=8) as pool:
        await pool.wait_ready()
        assert (pool.stats().validations, pool.stats().worker_starts) == ({"ok": 1}, 8)


async def test_a_target_outside_the_path_of_a_fresh_interpreter_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "found_by_path.py").write_text("from bridge.echo import bridge\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    async with make_pool("spawn", "found_by_path") as pool:
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
