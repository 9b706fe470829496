"""One checkout: a slot at once, or a place in the queue until one is free."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pool.errors import PoolClosed, PoolError, PoolSaturated, PoolTimeout
from pool.launch.descriptors import fork_count
from pool.lifecycle import PoolState
from pool.picture import take_picture
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import Deadline
from pool.worker import Worker


class Waiter:
    """A ticket in the queue, and the future that its task waits for."""

    __slots__ = ("_supervisor", "deadline", "future")

    def __init__(self, supervisor: Supervisor, deadline: Deadline) -> None:
        self._supervisor = supervisor
        self.deadline = deadline.at
        self.future: asyncio.Future[Slot[Worker]] = asyncio.get_running_loop().create_future()

    def grant(self, slot: Slot[Worker]) -> bool:
        # A cancelled task has cancelled its future before it gets to leave the queue.
        if self.future.done():
            return False
        self._supervisor.desk.lend(slot)
        self.future.set_result(slot)
        return True

    def expire(self) -> None:
        self.fail(TimeoutError())

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def admit(
    supervisor: Supervisor | None, forks_at_open: int, name: str, *, even_failed: bool = False
) -> Supervisor:
    """Return the supervisor if it takes work now, else raise why not.

    `even_failed` is for what may mend a pool that refuses work.
    """
    if supervisor is None:
        raise PoolClosed(f"{name}: the pool is not open; use `async with` or `await pool.open()`")
    if fork_count() != forks_at_open:
        raise PoolClosed(
            f"{name}: the pool was opened in another process; open one of its own in each"
        )
    if supervisor.loop is not asyncio.get_running_loop():
        raise PoolClosed(
            f"{name}: the pool was opened on another event loop; open one of its own on each, "
            "or use SyncWorkerPool from threads"
        )
    supervisor.probe_if_due()
    if not (supervisor.takes_work or (even_failed and supervisor.may_grow)):
        raise _refusal(supervisor, name)
    return supervisor


def _refusal(supervisor: Supervisor, name: str) -> PoolError:
    if supervisor.state is PoolState.FAILED:
        supervisor.counters.checkouts["failed"] += 1
        return supervisor.refusal()
    supervisor.counters.checkouts["closed"] += 1
    return PoolClosed(f"{name}: the pool is {supervisor.state.value}; it takes no new work")


async def acquire(
    supervisor: Supervisor, deadline: Deadline, *, again: bool = False
) -> Slot[Worker]:
    """Return a lent slot; suspends only if none is idle.

    `again` is for a call that was admitted before and lost its worker: it may
    still wait while the pool drains.

    Raises `PoolSaturated` at once if the queue is full, `PoolTimeout` at the
    deadline, `EnvironmentInvalid`, `WorkerStartError` or `PoolClosed` if there
    will be no worker.
    """
    if not (supervisor.serves_the_queue if again else supervisor.takes_work):
        raise _refusal(supervisor, supervisor.config.pool_name)
    slot = supervisor.desk.take_idle()
    if slot is None:
        with _counted(supervisor):
            slot = await _wait(supervisor, deadline)
    supervisor.counters.checkouts["ok"] += 1
    return slot


@contextmanager
def _counted(supervisor: Supervisor) -> Iterator[None]:
    """Count a checkout that does not succeed by its outcome."""
    outcomes: tuple[tuple[type[BaseException], str], ...] = (
        (PoolSaturated, "shed"),
        (PoolTimeout, "timeout"),
        (PoolClosed, "closed"),
        (PoolError, "failed"),
        (asyncio.CancelledError, "cancelled"),
    )
    try:
        yield
    except BaseException as error:
        outcome = next((word for kind, word in outcomes if isinstance(error, kind)), "failed")
        supervisor.counters.checkouts[outcome] += 1
        raise


async def _wait(supervisor: Supervisor, deadline: Deadline) -> Slot[Worker]:
    started = supervisor.now()
    in_front = False
    try:
        while True:
            slot = await _queue_up(supervisor, Waiter(supervisor, deadline), in_front=in_front)
            if slot.worker.is_there():
                return slot
            # The worker died between the hand-off and this moment: the turn is not over.
            supervisor.desk.give_back(slot)
            if not supervisor.serves_the_queue:
                raise _refusal(supervisor, supervisor.config.pool_name)
            in_front = True
    except TimeoutError:
        error = _timed_out(supervisor, deadline, waited=supervisor.now() - started)
        raise error from supervisor.restarts.last_cause


async def _queue_up(supervisor: Supervisor, waiter: Waiter, *, in_front: bool) -> Slot[Worker]:
    if supervisor.desk.is_full and not in_front and not supervisor.has_room():
        raise _saturated(supervisor)
    supervisor.desk.join(waiter, in_front=in_front)
    supervisor.rebalance()
    timer = None
    if waiter.deadline is not None:
        loop = asyncio.get_running_loop()
        timer = loop.call_at(waiter.deadline, _expire, supervisor, waiter)
    try:
        return await waiter.future
    except asyncio.CancelledError:
        _leave(supervisor, waiter)
        raise
    finally:
        if timer is not None:
            timer.cancel()


def _expire(supervisor: Supervisor, waiter: Waiter) -> None:
    if supervisor.desk.leave(waiter):
        waiter.expire()


def _leave(supervisor: Supervisor, waiter: Waiter) -> None:
    """The task is cancelled. A slot that was handed to it in the same moment goes back."""
    if supervisor.desk.leave(waiter) or waiter.future.cancelled():
        return
    if waiter.future.exception() is None:
        supervisor.desk.give_back(waiter.future.result())


def _saturated(supervisor: Supervisor) -> PoolSaturated:
    stats = take_picture(supervisor)
    retry_after = supervisor.desk.wait_estimate(supervisor.counts().serving)
    return PoolSaturated(
        f"{stats.name}: {stats.waiting} checkouts wait already, the most that may; "
        f"{stats.line()}. Try again in about {retry_after:.2f} s, or raise max_waiting or size",
        retry_after,
    )


def _timed_out(supervisor: Supervisor, deadline: Deadline, *, waited: float) -> PoolTimeout:
    stats = take_picture(supervisor)
    if supervisor.restarts.last_cause is not None:
        advice = f"Workers fail to start: {supervisor.restarts.last_cause}"
    elif stats.starting or not supervisor.environment.is_valid:
        advice = "Workers are still starting: allow more time, or warm up with min_ready"
    else:
        advice = "Raise size or overflow, allow more time, or make calls shorter"
    return PoolTimeout(
        f"{stats.name}: no worker was free within {deadline} (waited {waited:.2f} s); "
        f"{stats.line()}. {advice}"
    )
