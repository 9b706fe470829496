"""One checkout: a slot at once, or a place in the queue until one is free."""

from __future__ import annotations

import asyncio

from pool.errors import PoolClosed, PoolError, PoolSaturated, PoolTimeout
from pool.launch.descriptors import fork_count
from pool.ledger import Fitness
from pool.lifecycle import PoolState
from pool.picture import take_picture
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.telemetry.tracing import Traced
from pool.timeouts import Deadline
from pool.waiters import ReadyWaiter, SlotWaiter
from pool.worker.worker import Worker

MIN_RETRY_AFTER = 0.05
"""Seconds: the least that a refused caller is told to wait."""


def admit(supervisor: Supervisor, *, even_failed: bool = False) -> None:
    """Raise why no work is taken here and now, unless it is.

    `even_failed` is for what may mend a pool that refuses work.
    """
    if supervisor.forks != fork_count():
        name = supervisor.config.pool_name
        raise PoolClosed(
            f"{name}: the pool was opened in another process; open one of its own in each"
        )
    if supervisor.loop is not asyncio.get_running_loop():
        name = supervisor.config.pool_name
        raise PoolClosed(
            f"{name}: the pool was opened on another event loop; open one of its own on each, "
            "or use SyncWorkerPool from threads"
        )
    life = supervisor.ledger.life
    if life.takes_work:
        return
    if life.state is PoolState.FAILED:
        supervisor.look()  # the cool-down may be over
    if not (life.takes_work or (even_failed and life.may_grow)):
        raise _refusal(supervisor)


def _refusal(supervisor: Supervisor) -> PoolError:
    state = supervisor.ledger.life.state
    if state is PoolState.FAILED:
        supervisor.counters.checkouts["failed"] += 1
        return supervisor.refusal()
    supervisor.counters.checkouts["closed"] += 1
    name = supervisor.config.pool_name
    return PoolClosed(f"{name}: the pool is {state.value}; it takes no new work")


async def serving(supervisor: Supervisor, count: int, deadline: Deadline) -> bool:
    """Wait until `count` workers serve; False if they did not by the deadline.

    Raises what keeps them from it.
    """
    waiter = ReadyWaiter(count)
    supervisor.ledger.join_ready(waiter)
    supervisor.settle()
    try:
        with supervisor.clock.move_on_at(deadline.at) as scope:
            await waiter.future
        return not scope.cancelled_caught
    finally:
        supervisor.ledger.lobby.leave_ready(waiter)


async def acquire(
    supervisor: Supervisor,
    deadline: Deadline,
    now: float,
    *,
    again: bool = False,
    traced: Traced | None = None,
) -> Slot[Worker]:
    """Return a lent slot; wait for one, for the call that is `traced`, if none is idle.

    `again` is for a call that was admitted before and lost its worker: it may
    still wait while the pool drains.

    Raises `PoolSaturated` at once if the queue is full or too long for the
    deadline, `PoolTimeout` at the deadline, `EnvironmentInvalid`,
    `WorkerStartError` or `PoolClosed` if there will be no worker.
    """
    slot = take_idle(supervisor, now, again=again)
    return slot or await wait_for_slot(supervisor, deadline, traced)


async def wait_for_slot(
    supervisor: Supervisor, deadline: Deadline, traced: Traced | None = None
) -> Slot[Worker]:
    """Return a lent slot where none is idle now; raises as `acquire` does."""
    began = supervisor.clock.now()
    try:
        if supervisor.waiting is None:
            slot = await _wait(supervisor, deadline, began)
        else:
            with supervisor.waiting(traced):
                slot = await _wait(supervisor, deadline, began)
    except BaseException as error:
        supervisor.counters.checkouts[_outcome(error)] += 1
        raise
    slot.waited = slot.lent_at - began
    supervisor.counters.checkouts["ok"] += 1
    if supervisor.hub.granted:
        supervisor.chronicle.granted(slot, slot.lent_at)
    return slot


def take_idle(supervisor: Supervisor, now: float, *, again: bool = False) -> Slot[Worker] | None:
    """Lend an idle slot; None if there is none. Raises as `acquire` does where no work is taken."""
    ledger = supervisor.ledger
    if not ledger.life.takes_work and not (again and ledger.serves_the_queue):
        raise _refusal(supervisor)
    slot = _find_idle(supervisor, now)
    if slot is not None:
        supervisor.counters.checkouts["ok"] += 1
        if supervisor.hub.granted:
            supervisor.chronicle.granted(slot, now)
    return slot


def _find_idle(supervisor: Supervisor, now: float) -> Slot[Worker] | None:
    while (slot := supervisor.ledger.lobby.take_idle(now)) is not None:
        if slot.worker.still_serves():
            return slot
        supervisor.give_back(slot)
    return None


def _outcome(error: BaseException) -> str:
    """How a checkout ended that did not succeed, in the words of its metric."""
    outcomes: tuple[tuple[type[BaseException], str], ...] = (
        (PoolSaturated, "shed"),
        (PoolTimeout, "timeout"),
        (PoolClosed, "closed"),
        (asyncio.CancelledError, "cancelled"),
    )
    return next((word for kind, word in outcomes if isinstance(error, kind)), "failed")


async def _wait(supervisor: Supervisor, deadline: Deadline, began: float) -> Slot[Worker]:
    _check_queue(supervisor, deadline)
    in_front = False
    try:
        while True:
            slot = await _queue_up(supervisor, SlotWaiter(deadline.at, began), in_front=in_front)
            if slot.worker.still_serves():
                return slot
            # The worker died between the hand-off and this moment: the turn is not over.
            supervisor.give_back(slot)
            if not supervisor.ledger.serves_the_queue:
                raise _refusal(supervisor)
            if (idle := _find_idle(supervisor, supervisor.now())) is not None:
                return idle
            in_front = True
    except TimeoutError:
        waited = supervisor.now() - began
        supervisor.chronicle.expired(waited)
        error = _timed_out(supervisor, deadline, waited=waited)
        raise error from supervisor.ledger.restarts.last_cause


def _check_queue(supervisor: Supervisor, deadline: Deadline) -> None:
    """Refuse at the door who could not be served."""
    ledger = supervisor.ledger
    if not ledger.has_room():
        raise _saturated(supervisor, "checkouts wait already, the most that may", "max_waiting")
    if not ledger.can_serve_by(deadline.at, supervisor.now()):
        why = f"checkouts wait already, too many to be served within {deadline}"
        raise _saturated(supervisor, why, "the timeout")


async def _queue_up(supervisor: Supervisor, waiter: SlotWaiter, *, in_front: bool) -> Slot[Worker]:
    supervisor.ledger.join(waiter, in_front=in_front)
    supervisor.settle()
    alarm = None
    if waiter.deadline is not None:
        alarm = supervisor.clock.call_at(waiter.deadline, lambda: _expire(supervisor, waiter))
    try:
        return await waiter.future
    except asyncio.CancelledError:
        _leave(supervisor, waiter)
        raise
    finally:
        if alarm is not None:
            alarm.cancel()


def _expire(supervisor: Supervisor, waiter: SlotWaiter) -> None:
    if supervisor.ledger.leave(waiter):
        waiter.expire()
        supervisor.settle()


def _leave(supervisor: Supervisor, waiter: SlotWaiter) -> None:
    """The task is cancelled. A slot that was handed to it in the same moment goes back."""
    if supervisor.ledger.leave(waiter) or waiter.future.cancelled():
        supervisor.settle()
    elif waiter.future.exception() is None:
        supervisor.give_back(waiter.future.result())


def _saturated(supervisor: Supervisor, why: str, limit: str) -> PoolSaturated:
    # Without a whole picture: this is said thousands of times a second under overload.
    counts = supervisor.ledger.counts()
    retry_after = max(MIN_RETRY_AFTER, supervisor.ledger.wait_estimate())
    supervisor.chronicle.shed(counts.waiting, retry_after)
    return PoolSaturated(
        f"{supervisor.config.pool_name}: {counts.waiting} {why}; {counts.serving} workers serve, "
        f"{counts.busy} of their {counts.slots} slots busy, {counts.starting} start. "
        f"Try again in about {retry_after:.2f} s, or raise {limit} or size",
        retry_after,
    )


def _timed_out(supervisor: Supervisor, deadline: Deadline, *, waited: float) -> PoolTimeout:
    stats = take_picture(supervisor)
    if supervisor.ledger.restarts.last_cause is not None:
        advice = f"Workers fail to start: {supervisor.ledger.restarts.last_cause}"
    elif stats.starting or supervisor.ledger.fitness is not Fitness.FIT:
        advice = "Workers are still starting: allow more time, or warm up with min_ready"
    else:
        advice = "Raise size or overflow, allow more time, or make calls shorter"
    return PoolTimeout(
        f"{stats.name}: no worker was free within {deadline} (waited {waited:.2f} s); "
        f"{stats.line()}. {advice}"
    )
