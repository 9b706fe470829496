"""Who waits, for the ledger a ticket and for a task a future."""

from __future__ import annotations

import asyncio

from pool.slots import Slot
from pool.worker.worker import Worker


class SlotWaiter:
    """A place in the queue, for a task that waits for `future` from the instant `since`.

    `deadline` is an instant too.
    """

    __slots__ = ("deadline", "future", "since")

    def __init__(self, deadline: float | None, since: float) -> None:
        self.deadline = deadline
        self.since = since
        self.future: asyncio.Future[Slot[Worker]] = asyncio.get_running_loop().create_future()

    def grant(self, slot: Slot[Worker]) -> bool:
        # A cancelled task has cancelled its future before it gets to leave the queue.
        if self.future.done():
            return False
        self.future.set_result(slot)
        return True

    def expire(self) -> None:
        self.fail(TimeoutError())

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class ReadyWaiter:
    """A wait until `count` workers serve."""

    __slots__ = ("count", "future")

    def __init__(self, count: int) -> None:
        self.count = count
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
