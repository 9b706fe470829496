"""Foreign processes that flood and garble: named errors, bounded memory, a loop that turns."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pool import (
    BrokenWorkerError,
    CallTimeout,
    PoolError,
    ProtocolError,
    RemoteError,
    WorkerPool,
)
from tests.contract.pools import until
from tests.contract.witness import MEGABYTE, listening, witnessed

HERE = Path(__file__).parent


@asynccontextmanager
async def hostile(*, memory: int = 32 * MEGABYTE, how: str = "") -> AsyncIterator[WorkerPool]:
    """A pool of one, witnessed until it is closed."""
    argv = [sys.executable, str(HERE / "foreign_hostile.py"), how]
    pool = WorkerPool(argv=argv, size=1, grace_period=0.1, late_reply_timeout=0.1)
    with listening():
        async with pool:
            await pool.wait_ready()
            async with witnessed(memory):
                yield pool
                await pool.aclose()


async def test_second_answers_without_end_get_the_worker_killed() -> None:
    async with hostile() as pool:
        assert await pool.call("second_answers") == {}
        await until(pool, lambda stats: stats.worker_exits == {"protocol": 1})
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


FLOODS: list[tuple[str, type[PoolError]]] = [
    ("items", CallTimeout),
    ("empty_frames", ProtocolError),
    ("endless_frame", CallTimeout),
    ("stderr_bytes", CallTimeout),
    ("stderr_lines", CallTimeout),
    ("answers_after_its_end", BrokenWorkerError),
    ("lines_after_its_end", BrokenWorkerError),
]


@pytest.mark.parametrize(("vice", "error"), FLOODS)
async def test_a_flood_ends_in_a_named_error(vice: str, error: type[PoolError]) -> None:
    async with hostile() as pool:
        with pytest.raises(error) as caught:
            await pool.call(vice, timeout=0.3)
        assert type(caught.value) is error
        assert await pool.call("echo", {"a": 1}, timeout=10) == {"a": 1}


@pytest.mark.parametrize("vice", ["long_error", "wide_error"])
async def test_an_enormous_error_is_cut(vice: str) -> None:
    async with hostile(memory=96 * MEGABYTE) as pool:
        with pytest.raises(RemoteError) as caught:
            await pool.call(vice)
        assert sum(len(str(value)) for value in vars(caught.value).values()) < 100_000
        assert len(str(caught.value)) < 50_000
        assert pool.stats().worker_exits == {}


async def test_members_that_mean_something_else_may_be_of_any_size() -> None:
    async with hostile(memory=64 * MEGABYTE) as pool:
        assert await pool.call("wide_members") == {}


async def test_a_handshake_of_absurd_size_lists_nothing() -> None:
    async with hostile(how="large_handshake") as pool:
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


GARBAGE = [
    *("not JSON", "a lone surrogate", "NaN", "deep", "a list", "half"),
    *("a huge id", "a very huge id", "a fractional id", "a negative id", "an id twice", "no id"),
]


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_gets_the_worker_killed(kind: str) -> None:
    async with hostile(memory=48 * MEGABYTE) as pool:
        with pytest.raises(ProtocolError) as caught:
            await pool.call("garbage", {"kind": kind})
        assert len(str(caught.value)) < 2_000
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


async def test_a_failure_that_is_not_unicode_is_a_failure() -> None:
    async with hostile() as pool:
        with pytest.raises(RemoteError, match="�"):
            await pool.call("garbage", {"kind": "not UTF-8"})


@pytest.mark.parametrize(
    "kind", ["forgets too much", "forgets nonsense", "defines nonsense", "a long key"]
)
async def test_who_defines_or_forgets_nonsense_is_killed_after_its_answer(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with hostile(memory=48 * MEGABYTE) as pool:
        assert await pool.call("garbage", {"kind": kind}) is None
        await until(pool, lambda stats: stats.worker_exits == {"protocol": 1})
    assert "defined or forgot something that makes no sense" in caplog.text
