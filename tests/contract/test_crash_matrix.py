"""Where a worker fails, how it fails, how it was started: one outcome for each, as `MATRIX` says.

Every call ends once, the pool is whole again without help, and what its
worker does while it closes holds it up no longer than it allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, get_args

import pytest

from bridge.faulty.vices import How, Where
from pool import CallTimeout, PoolError, WorkerPool
from tests.contract.crash_matrix import MATRIX, Outcome
from tests.contract.pools import make_pool, until
from tests.processes import ends_within

GRACE = 0.1
CLOSES_WITHIN = 3 * GRACE + 2.0
"""Seconds: a grace period each for `shutdown`, end of file and SIGTERM, and time for the rest."""

SILENT = 0.2
"""Seconds that a call is given whose worker will not answer."""

LARGE = {"text": "x" * 4 * 1024 * 1024}
"""Far more than a pipe holds: 64 KiB (pipe(7))."""

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "reading": ("echo", LARGE),
    "running": ("work", {}),
    "writing": ("echo", {"text": "hello"}),
}
"""What is asked for in each place."""

ENDS_THE_PROCESS = {"exit-0", "exit-3", "sigkill", "sigsegv", "abort"}

by_method = pytest.mark.parametrize("method", ["forkserver", "spawn"])


def cells(*places: str) -> pytest.MarkDecorator:
    found = [
        pytest.param(where, how, outcome, id=f"{where}-{how}")
        for where in places
        for how, outcome in MATRIX[where].items()
    ]
    return pytest.mark.parametrize(("where", "how", "expected"), found)


def test_no_cell_is_left_out() -> None:
    assert set(MATRIX) == set(get_args(Where))
    assert all(set(row) == set(get_args(How)) for row in MATRIX.values())


@pytest.fixture(autouse=True)
async def _no_complaints(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Nothing was raised where nobody would see it: a future that is set twice, say."""
    caplog.set_level(logging.INFO, "bridgepool")
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: said.append(complaint))
    yield
    assert not said


@by_method
@cells("starting")
async def test_who_waits_for_a_worker_that_fails_to_start_learns_why(
    where: str,
    how: str,
    expected: Outcome,
    method: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("pool.restarts.COOL_DOWN", 0.0)
    token = tmp_path / "for the first worker"
    token.touch()
    allowed = 3.0 if expected.exits == "start" else 60.0
    settings: dict[str, Any] = {"max_restarts": 0, "start_timeout": allowed}
    vice = {"where": where, "how": how, "token": str(token)}
    async with lone(method, options={"vice": vice}, **settings) as pool:
        error = await error_of(pool.call("pid"))
        for told in (error, error.__cause__):
            check(told, expected)
        await is_whole(pool, expected, error.pid)
        assert (pool.stats().calls, pool.stats().failed_starts) == ({"ok": 1}, 1)
    assert struck(caplog, where, how)


@by_method
@cells("idle")
async def test_a_worker_that_fails_between_calls_is_not_lent(
    where: str, how: str, expected: Outcome, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    pings = {"ping_interval": 0.05, "ping_timeout": 0.5} if how == "sigstop" else {}
    async with lone(method, **pings) as pool:
        pid = (await pool.call("pid"))["pid"]
        await pool.call("arm", {"where": where, "how": how})
        if how in ENDS_THE_PROCESS:
            # Blocks the loop: the pool has had no chance to see the pipe close.
            assert not ends_within({pid}, 5.0)
        elif expected.exits is not None:
            await until(pool, lambda stats: bool(stats.worker_exits))
        await is_whole(pool, expected, pid)
        assert pool.stats().calls == {"ok": 3}
    assert struck(caplog, where, how)


@by_method
@cells("reading", "running", "writing")
async def test_a_worker_that_fails_in_a_call_is_a_named_error_and_is_replaced(
    where: str, how: str, expected: Outcome, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    command, args = CALLS[where]
    async with lone(method) as pool:
        async with pool.checkout() as worker:
            await worker.call("arm", {"where": where, "how": how})
            timeout = SILENT if expected.error is CallTimeout else 30.0
            check(await error_of(worker.call(command, args, timeout=timeout)), expected)
        await is_whole(pool, expected, worker.pid)
        assert sum(pool.stats().calls.values()) == 3
    assert struck(caplog, where, how)


@by_method
@cells("closing")
async def test_what_a_worker_does_when_it_is_to_end_does_not_hold_up_the_pool(
    where: str, how: str, expected: Outcome, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = lone(method)
    await pool.open()
    await pool.call("arm", {"where": where, "how": how})
    async with asyncio.timeout(CLOSES_WITHIN):
        await pool.aclose()
    stats = pool.stats()
    assert (stats.total, stats.worker_exits) == (0, {expected.exits: 1})
    assert struck(caplog, where, how)


@by_method
async def test_a_worker_stopped_between_calls_is_found_by_the_next_one(method: str) -> None:
    async with lone(method, late_reply_timeout=30.0) as pool:
        pid = (await pool.call("pid"))["pid"]
        await pool.call("arm", {"where": "idle", "how": "sigstop"})
        assert type(await error_of(pool.call("pid", timeout=SILENT))) is CallTimeout
        assert (await pool.call("pid"))["pid"] != pid
        assert (pool.stats().idle, pool.stats().abandoned) == (1, 1)


@by_method
async def test_a_request_that_was_not_read_whole_is_made_again_elsewhere(method: str) -> None:
    async with lone(method) as pool:
        await pool.call("arm", {"where": "reading", "how": "sigkill"})
        assert await pool.call("echo", LARGE) == LARGE
        assert pool.stats().retries == 1


def lone(method: str, **settings: Any) -> WorkerPool:
    """A pool of one worker with a choice of vices."""
    settings = {"size": 1, "late_reply_timeout": 0.3, "grace_period": GRACE, **settings}
    return make_pool(method, "bridge.faulty", **settings)


async def error_of(call: Awaitable[object]) -> Any:
    with pytest.raises(PoolError) as caught:
        await call
    return caught.value


def check(error: PoolError, expected: Outcome) -> None:
    assert type(error) is expected.error
    for name in ("returncode", "request_sent", "error_type"):
        assert getattr(error, name, None) == getattr(expected, name), name


async def is_whole(pool: WorkerPool, expected: Outcome, pid: int | None) -> None:
    """The next call is served, and not by a worker that was lost; nothing is left of that one."""
    assert ((await pool.call("pid"))["pid"] == pid) is (expected.exits is None)
    stats = await until(pool, lambda stats: stats.idle == stats.total == 1)
    assert stats.worker_exits == ({expected.exits: 1} if expected.exits else {})
    assert (stats.inflight_calls, stats.late_replies, stats.retries) == (0, 0, 0)


def struck(caplog: pytest.LogCaptureFixture, where: str, how: str) -> bool:
    """Whether the worker said, once, that it was going to fail there."""
    said = [record.getMessage() for record in caplog.records if "stderr" in record.name]
    return sum(f"faulty: {how} while {where}" in line for line in said) == 1
