"""Who gets which slot next: the idle stack, the queue, admission. Synchronous and pure.

A slot that is offered goes to the oldest waiter in the same step, so that
nobody waits while a slot idles. Waiters are served first come, first served;
idle slots are lent last in, first out: the warm ones work, the others may
leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Ticket(Protocol[S_contra]):
    """A place in the queue. It ends exactly once: granted, expired, failed or left.

    The methods are called within the step that takes the ticket out of the
    queue; they must not call back into it.
    """

    @property
    def deadline(self) -> float | None: ...

    def grant(self, slot: S_contra) -> bool:
        """Take the slot; False if whoever waited is gone."""
        ...

    def expire(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class CheckoutQueue(Generic[S]):
    """Idle slots on one side, waiting tickets on the other; at most one side is not empty."""

    def __init__(self, max_waiting: int | None) -> None:
        self._max_waiting = max_waiting
        # Dicts for their order and for removal from the middle in constant time.
        self._idle: dict[S, None] = {}
        self._waiting: dict[Ticket[S], None] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self) -> S | None:
        """Take the slot that was given back last; None if there is no idle one."""
        if not self._idle:
            return None
        return self._idle.popitem()[0]

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self._max_waiting is not None and len(self._waiting) >= self._max_waiting

    def join(self, ticket: Ticket[S], *, in_front: bool = False) -> None:
        """Wait for a slot.

        A ticket goes `in_front` when the slot it was served died before it
        could be used: it had its turn.
        """
        if in_front:
            self._waiting = {ticket: None, **self._waiting}
        else:
            self._waiting[ticket] = None

    def leave(self, ticket: Ticket[S]) -> bool:
        """Stop waiting; False if the ticket had ended already."""
        if ticket not in self._waiting:
            return False
        del self._waiting[ticket]
        return True

    def offer(self, slot: S, now: float) -> Ticket[S] | None:
        """Hand the slot to the oldest waiter whose deadline has not passed, else let it idle."""
        while self._waiting:
            ticket = next(iter(self._waiting))
            del self._waiting[ticket]
            if ticket.deadline is not None and ticket.deadline <= now:
                ticket.expire()
            elif ticket.grant(slot):
                return ticket
        self._idle[slot] = None
        return None

    def withdraw(self, slot: S) -> bool:
        """Take a slot out of the idle ones; False if it was not idle."""
        if slot not in self._idle:
            return False
        del self._idle[slot]
        return True

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """End all waiting, each with an error of its own."""
        waiting, self._waiting = self._waiting, {}
        for ticket in waiting:
            ticket.fail(make_error())
