"""Where callers wait: for a slot, or for workers to be ready. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from pool.checkout import CheckoutQueue, Ticket
from pool.ledger.idle import IdleSlots
from pool.ledger.members import Member
from pool.lifecycle import SlotEvent
from pool.slots import Slot

W = TypeVar("W", bound=Member)


class ReadyWait(Protocol):
    """Somebody who waits until `count` workers serve. It ends exactly once."""

    @property
    def count(self) -> int: ...

    def grant(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Lobby(Generic[W]):
    """Idle slots, those who wait for one, and those who wait for workers.

    A slot that is offered goes to the oldest waiter in the same step, so that
    nobody waits while a slot idles.
    """

    def __init__(self, max_waiting: int | None) -> None:
        self._idle: IdleSlots[W] = IdleSlots()
        self._queue: CheckoutQueue[Slot[W]] = CheckoutQueue(max_waiting)
        self._ready_waits: dict[ReadyWait, None] = {}

    @property
    def waiting(self) -> int:
        """Checkouts in the queue."""
        return self._queue.waiting

    @property
    def oldest(self) -> Ticket[Slot[W]] | None:
        """The checkout whose turn it is next."""
        return next(iter(self._queue.tickets), None)

    @property
    def idle_slots(self) -> int:
        """Slots that nobody has, and that a checkout would get at once."""
        return len(self._idle)

    @property
    def is_full(self) -> bool:
        """Whether as many wait for a slot as may."""
        return self._queue.is_full

    @property
    def ready_wanted(self) -> int:
        """How many workers somebody waits for."""
        return max((wait.count for wait in self._ready_waits), default=0)

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits for anything."""
        return not self.waiting and not self._ready_waits

    # Slots

    def take_idle(self, now: float) -> Slot[W] | None:
        """Lend a slot of the worker with the fewest calls; None if there is no idle one."""
        slot = self._idle.take()
        if slot is not None:
            slot.advance(SlotEvent.LEND)
            slot.lent_at = now
            slot.waited = 0.0
        return slot

    def offer(self, slot: Slot[W], now: float) -> None:
        """Lend a free slot to who waits longest, or let it idle."""
        if self._queue.tickets and self._queue.grant(slot, now):
            slot.advance(SlotEvent.LEND)
            slot.lent_at = now
        else:
            self._idle.put(slot)
            slot.worker.last_active = now

    def withdraw(self, worker: W) -> None:
        """Lend none of its slots any more."""
        self._idle.withdraw(worker)

    # Waiting

    def join(self, ticket: Ticket[Slot[W]], *, in_front: bool) -> None:
        """Wait for a slot."""
        self._queue.join(ticket, in_front=in_front)

    def leave(self, ticket: Ticket[Slot[W]]) -> bool:
        """Stop waiting for one; False if the wait had ended already."""
        return self._queue.leave(ticket)

    def join_ready(self, wait: ReadyWait) -> None:
        """Wait until as many workers serve as it says."""
        self._ready_waits[wait] = None

    def leave_ready(self, wait: ReadyWait) -> None:
        """Stop waiting for them, if that has not ended already."""
        self._ready_waits.pop(wait, None)

    def tell_serving(self, serving: int, size: int) -> None:
        """So many workers serve now, of `size` at most that anybody can wait for."""
        for wait in list(self._ready_waits):
            if serving >= min(wait.count, size):
                del self._ready_waits[wait]
                wait.grant()

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """End all waiting, each with an error of its own."""
        self._queue.fail_all(make_error)
        ready_waits, self._ready_waits = self._ready_waits, {}
        for wait in ready_waits:
            wait.fail(make_error())
