"""A call's way to a worker and back: sent, waited for, counted, made again if that may be."""

from __future__ import annotations

import asyncio
from itertools import count

from bridge.messages import Reply
from pool.acquire import acquire
from pool.calls import Prepared
from pool.conversation import Call
from pool.errors import BrokenWorkerError, CallTimeout, PoolError, ProtocolError, WorkerError
from pool.retries import LostWorkerError, RetryRule, pause, poisoned
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import Deadline
from pool.worker import Worker


async def run_until_done(
    supervisor: Supervisor, prepared: Prepared, deadline: Deadline, rule: RetryRule
) -> Reply:
    """Run a call on any worker, and again on another if its worker was lost and the rule allows.

    The pool does not count as out of work meanwhile.
    """
    supervisor.ledger.call_begins()
    try:
        return await _try_until_done(supervisor, prepared, deadline, rule)
    finally:
        supervisor.ledger.call_ends()
        supervisor.settle()


async def _try_until_done(
    supervisor: Supervisor, prepared: Prepared, deadline: Deadline, rule: RetryRule
) -> Reply:
    loss: LostWorkerError | None = None
    for lost in count(1):
        try:
            return await _try_once(supervisor, prepared, deadline, again=lost > 1)
        except (BrokenWorkerError, ProtocolError) as error:
            if not rule.allows(error, lost):
                raise poisoned(error, prepared.command, lost) from loss
            loss = error
            await _pause(supervisor, lost, deadline)
        except PoolError as error:
            # Why a repetition was needed is part of why it could not be made.
            error.__cause__ = error.__cause__ or loss
            raise
    raise AssertionError("counting has no end")


async def _pause(supervisor: Supervisor, lost: int, deadline: Deadline) -> None:
    """Wait before a lost call is made again, no longer than its deadline."""
    supervisor.counters.retries += 1
    seconds = pause(lost, supervisor.random)
    if deadline.at is not None:
        seconds = min(seconds, max(0.0, deadline.at - supervisor.now()))
    await asyncio.sleep(seconds)


async def _try_once(
    supervisor: Supervisor, prepared: Prepared, deadline: Deadline, *, again: bool
) -> Reply:
    longest_wait = Deadline.after(supervisor.now(), supervisor.config.checkout_timeout)
    latest_start = supervisor.ledger.times.latest_start(prepared.command, deadline)
    slot = await acquire(supervisor, latest_start.or_earlier(longest_wait), again=again)
    return await _spend(supervisor, slot, prepared, deadline)


async def _spend(
    supervisor: Supervisor, slot: Slot[Worker], prepared: Prepared, deadline: Deadline
) -> Reply:
    """Spend a lent slot on one call.

    The slot goes back at the end, unless the call was given up: then it
    belongs to its worker, and soon perhaps to somebody else.
    """
    call = None
    try:
        call = send(supervisor, slot, prepared, deadline)
        return await finish(supervisor, slot, call, deadline)
    finally:
        if call is None or not call.given_up:
            supervisor.give_back(slot)


def send(
    supervisor: Supervisor, slot: Slot[Worker], prepared: Prepared, deadline: Deadline
) -> Call:
    """Send a call, unless its deadline has passed or its worker is gone meanwhile.

    Raises `CallTimeout`, `BrokenWorkerError` or `RequestError`, with nothing sent.
    """
    if deadline.has_passed(supervisor.now()):
        supervisor.counters.calls["timeout"] += 1
        text = f"{prepared.command!r} was not sent: its deadline has passed"
        raise CallTimeout(text, request_sent=False)
    if not slot.worker.is_ready:
        supervisor.counters.calls["worker_lost"] += 1
        raise slot.worker.lost_before(prepared.command)
    return slot.worker.send(slot, prepared)


async def finish(
    supervisor: Supervisor, slot: Slot[Worker], call: Call, deadline: Deadline
) -> Reply:
    """Wait for the reply of a call that was sent."""
    outcome = "cancelled"
    try:
        reply = await slot.worker.finish(call, deadline)
        outcome = "ok" if reply.success else "error"
        return reply
    except PoolError as error:
        outcome = _outcome(error)
        raise
    finally:
        supervisor.counters.calls[outcome] += 1


def _outcome(error: PoolError) -> str:
    if isinstance(error, CallTimeout):
        return "timeout"
    if isinstance(error, ProtocolError):
        return "protocol"
    return "worker_lost" if isinstance(error, WorkerError) else "cancelled"
