"""A call's way to a worker and back: sent, waited for, made again if that may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from bridge.messages import Reply
from pool.acquire import acquire, take_idle, wait_for_slot
from pool.errors import BrokenWorkerError, CallTimeout, PoolError, ProtocolError
from pool.exchange.calls import Prepared
from pool.exchange.inflight import Call
from pool.exchange.outcomes import outcome_of
from pool.lifecycle import WorkerState
from pool.retries import LostWorkerError, RetryRule, pause, poisoned
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import Deadline
from pool.worker.worker import Worker

C = TypeVar("C", bound=Call)


async def run_until_done(
    supervisor: Supervisor,
    prepared: Prepared,
    deadline: Deadline,
    rule: RetryRule,
    now: float,
    make: Callable[..., Call] = Call,
) -> Reply:
    """Run a call on any worker, and again on another if its worker was lost and the rule allows.

    The pool does not count as out of work meanwhile.
    """
    ledger = supervisor.ledger
    ledger.calls_under_way += 1
    try:
        slot = take_idle(supervisor, now)
        if slot is None:
            latest_start = _latest_start(supervisor, prepared, deadline, now)
            slot = await wait_for_slot(supervisor, latest_start, prepared.traced)
            now = supervisor.clock.now()
        try:
            return await _spend(supervisor, slot, prepared, deadline, now, make)
        except (BrokenWorkerError, ProtocolError) as error:
            loss = error
        return await _repeat(supervisor, prepared, deadline, rule, loss, make)
    finally:
        ledger.call_ends()
        if ledger.is_unsettled:
            supervisor.settle()


async def _repeat(
    supervisor: Supervisor,
    prepared: Prepared,
    deadline: Deadline,
    rule: RetryRule,
    loss: LostWorkerError,
    make: Callable[..., Call],
) -> Reply:
    """Make a call again whose worker was lost; raise its `loss` if that may not be."""
    lost, earlier = 1, None
    while rule.allows(loss, lost):
        supervisor.chronicle.retried(prepared.command, lost, outcome_of(loss))
        await _pause(supervisor, lost, deadline)
        try:
            slot = await acquire_for(supervisor, prepared, deadline, again=True)
            now = supervisor.clock.now()
            return await _spend(supervisor, slot, prepared, deadline, now, make)
        except (BrokenWorkerError, ProtocolError) as error:
            earlier, loss = loss, error
            lost += 1
        except PoolError as error:
            # Why a repetition was needed is part of why it could not be made.
            error.__cause__ = error.__cause__ or loss
            raise
    raise poisoned(loss, prepared.command, lost) from earlier


async def _pause(supervisor: Supervisor, lost: int, deadline: Deadline) -> None:
    """Wait before a lost call is made again, no longer than its deadline."""
    seconds = pause(lost, supervisor.random)
    if deadline.at is not None:
        seconds = min(seconds, max(0.0, deadline.at - supervisor.now()))
    await asyncio.sleep(seconds)


async def acquire_for(
    supervisor: Supervisor, prepared: Prepared, deadline: Deadline, *, again: bool = False
) -> Slot[Worker]:
    """Wait for a slot, no longer than leaves the call the time that it is likely to need."""
    now = supervisor.clock.now()
    latest_start = _latest_start(supervisor, prepared, deadline, now)
    return await acquire(supervisor, latest_start, now, again=again, traced=prepared.traced)


def _latest_start(
    supervisor: Supervisor, prepared: Prepared, deadline: Deadline, now: float
) -> Deadline:
    longest_wait = Deadline.after(now, supervisor.config.checkout_timeout)
    latest_start = supervisor.ledger.times.latest_start(prepared.command, deadline)
    return latest_start.or_earlier(longest_wait)


async def _spend(
    supervisor: Supervisor,
    slot: Slot[Worker],
    prepared: Prepared,
    deadline: Deadline,
    now: float,
    make: Callable[..., Call],
) -> Reply:
    """Spend a lent slot on one call.

    The slot goes back at the end, unless the call was given up: then it
    belongs to its worker, and soon perhaps to somebody else.
    """
    call = None
    try:
        call = send(supervisor, slot, prepared, deadline, now, make)
        call.waited, call.is_alone = slot.waited, True
        return await call
    finally:
        if call is None or not call.given_up:
            supervisor.end_checkout(slot, was_alone=call is not None)


def send(
    supervisor: Supervisor,
    slot: Slot[Worker],
    prepared: Prepared,
    deadline: Deadline,
    now: float,
    make: Callable[..., C],
) -> C:
    """Send a call, unless its deadline has passed or its worker is gone meanwhile.

    Raises `CallTimeout`, `BrokenWorkerError` or `RequestError`, with nothing
    sent; awaiting it raises what `Exchange.send` tells.
    """
    worker = slot.worker
    if deadline.at is not None and now > deadline.at:
        supervisor.counters.calls["timeout"] += prepared.size or 1
        text = f"{prepared.command!r} was not sent: its deadline has passed"
        raise CallTimeout(text, request_sent=False)
    if worker.state is not WorkerState.READY:
        supervisor.counters.calls["worker_lost"] += prepared.size or 1
        raise worker.lost_before(prepared.command)
    call = worker.calls.send(slot, prepared, now, deadline, make)
    if prepared.traced is not None:
        prepared.traced.sent(worker.name, worker.pid, prepared.size or 1)
    return call
