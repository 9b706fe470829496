"""Where slots are lent and given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pool.checkout import CheckoutQueue, Ticket
from pool.lifecycle import SlotEvent, SlotState
from pool.slots import Slot
from pool.worker import Worker


class Desk:
    """The queue of those who wait for a slot, or for workers to be ready, and the idle slots.

    `on_idle` is told of a worker whose slot nobody wants just now, `on_change`
    of every slot that came back and everybody who went.
    """

    def __init__(
        self,
        max_waiting: int | None,
        on_idle: Callable[[Worker], None],
        on_change: Callable[[], None],
    ) -> None:
        self._queue: CheckoutQueue[Slot[Worker]] = CheckoutQueue(max_waiting)
        self._ready_waits: dict[asyncio.Future[None], int] = {}
        self._on_idle = on_idle
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._mean_held = 0.0

    @property
    def waiting(self) -> int:
        """Checkouts in the queue."""
        return self._queue.waiting

    @property
    def is_full(self) -> bool:
        return self._queue.is_full

    @property
    def is_asked(self) -> bool:
        """Whether anybody waits for anything."""
        return bool(self.waiting or self._ready_waits)

    @property
    def ready_wanted(self) -> int:
        """How many ready workers somebody waits for."""
        return max(self._ready_waits.values(), default=0)

    # Lending

    def take_idle(self) -> Slot[Worker] | None:
        """Lend the slot that was given back last; None if there is no idle one."""
        while (slot := self._queue.take()) is not None:
            if slot.worker.is_there():
                self.lend(slot)
                return slot
        return None

    def lend(self, slot: Slot[Worker]) -> None:
        """The slot, from the queue's hand, is somebody's now: until `give_back`."""
        slot.advance(SlotEvent.LEND)
        slot.lent_at = self._loop.time()

    def give_back(self, slot: Slot[Worker]) -> None:
        """End of a checkout, by its one owner. A slot whose call was given up has none."""
        if slot.state is SlotState.BUSY:
            slot.advance(SlotEvent.GIVE_BACK)
            self._mean_held += (self._loop.time() - slot.lent_at - self._mean_held) / 16
            self.offer(slot)
        self._on_change()

    def offer(self, slot: Slot[Worker]) -> None:
        """Give a free slot to who waits longest, or let it idle, if its worker serves."""
        if slot.worker.is_released:
            slot.worker.go_if_released()
        if not slot.worker.is_ready or slot.worker.is_released:
            return
        now = self._loop.time()
        if self._queue.offer(slot, now) is None:
            slot.worker.last_active = now
            self._on_idle(slot.worker)

    def withdraw(self, worker: Worker) -> None:
        """Lend none of its slots any more."""
        for slot in worker.slots:
            self._queue.withdraw(slot)

    # Waiting

    def join(self, ticket: Ticket[Slot[Worker]], *, in_front: bool = False) -> None:
        self._queue.join(ticket, in_front=in_front)

    def leave(self, ticket: Ticket[Slot[Worker]]) -> bool:
        """Somebody stops waiting; False if the wait had ended already."""
        left = self._queue.leave(ticket)
        self._on_change()
        return left

    async def wait_ready(self, count: int) -> None:
        """Wait until `count` workers serve; raises what keeps them from it."""
        ready: asyncio.Future[None] = self._loop.create_future()
        self._ready_waits[ready] = count
        self._on_change()
        try:
            await ready
        finally:
            del self._ready_waits[ready]

    def tell_serving(self, serving: int) -> None:
        """So many workers serve now."""
        for ready, count in self._ready_waits.items():
            if serving >= count and not ready.done():
                ready.set_result(None)

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """End all waiting, each with an error of its own."""
        self._queue.fail_all(make_error)
        for ready in self._ready_waits:
            if not ready.done():
                ready.set_exception(make_error())
        self._on_change()

    def wait_estimate(self, serving: int) -> float:
        """Seconds until a checkout that joined the queue now would be served, roughly.

        The mean time a slot is held (exponentially weighted, 1/16), times the
        queue's length, shared among the workers that serve.
        """
        rounds = (self.waiting + 1) / max(1, serving)
        return max(0.05, self._mean_held * rounds)
