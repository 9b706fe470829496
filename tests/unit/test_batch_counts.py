"""How the calls of a batch ended, each of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pool import CallTimeout
from pool.acquire import take_idle
from pool.dataset.batch import BatchCall, prepare_batch
from pool.dispatch import send
from pool.exchange.inflight import Call
from pool.exchange.results import decode_reply
from pool.testing import Obedient, ScriptedLauncher, ScriptedPool, run
from pool.timeouts import Deadline

PARTS = (
    b'{"id":1,"event":"results","results":[1,2,null],"failures":{"2":{"error":"a"}}}',
    b'{"id":1,"event":"results","results":[4]}',
)
ANSWER = b'{"id":1,"success":true,"results":[5,null],"failures":{"5":{"error":"b"}}}'
REFUSAL = b'{"id":1,"success":false,"error":"no"}'


async def counted(outcome: str, answer: bytes | None = None, *parts: bytes) -> dict[str, int]:
    prepared = prepare_batch("work", [b"{}"] * 6)
    given: Any = (1, prepared, None, asyncio.get_running_loop(), lambda call: None)
    call = BatchCall(*given)
    for part in parts:
        call.take(decode_reply(part))
    return call.counted(outcome, None if answer is None else decode_reply(answer))


async def test_of_a_batch_that_was_answered() -> None:
    assert await counted("ok", ANSWER, *PARTS) == {"ok": 4, "error": 2}
    assert await counted("ok", b'{"id":1,"success":true,"results":[1,2,3,4,5,6]}') == {"ok": 6}


@pytest.mark.parametrize("outcome", ["worker_lost", "timeout"])
async def test_of_one_that_was_not_what_was_told_before_counts(outcome: str) -> None:
    assert await counted(outcome, None, *PARTS) == {"ok": 3, "error": 1, outcome: 2}
    assert await counted(outcome) == {outcome: 6}


async def test_of_one_that_was_refused_in_the_end() -> None:
    assert await counted("error", REFUSAL, *PARTS) == {"ok": 3, "error": 3}


async def test_nobody_reads_what_a_cancelled_one_told() -> None:
    assert await counted("cancelled", ANSWER, *PARTS) == {"cancelled": 6}
    assert await counted("cancelled", None, *PARTS) == {"cancelled": 6}


@pytest.mark.parametrize(
    "senseless",
    [
        b'{"id":1,"event":"results","results":5,"failures":[]}',
        b'{"id":1,"event":"results"}',
    ],
)
async def test_what_makes_no_sense_counts_nothing(senseless: bytes) -> None:
    assert await counted("timeout", None, senseless) == {"timeout": 6}


async def test_never_more_than_were_asked_for() -> None:
    assert await counted("timeout", None, *PARTS, *PARTS, *PARTS) == {"ok": 3, "error": 3}


async def _batch_that_comes_too_late() -> dict[str, int]:
    async with ScriptedPool(ScriptedLauncher(Obedient), size=1) as pool:
        await pool.call("echo")
        supervisor = pool._supervisor
        assert supervisor is not None
        now = supervisor.now()
        slot = take_idle(supervisor, now)
        assert slot is not None
        batch = prepare_batch("echo", [b"{}"] * 6)
        with pytest.raises(CallTimeout) as caught:
            send(supervisor, slot, batch, Deadline(now - 1.0, 1.0), now, Call)
        assert not caught.value.request_sent
        supervisor.give_back(slot)
        return dict(pool.stats().calls)


def test_of_one_that_was_not_sent() -> None:
    assert run(_batch_that_comes_too_late()) == {"ok": 1, "timeout": 6}
