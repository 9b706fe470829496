"""The queue of checkouts that wait for a slot: first come, first served. Pure."""

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

    @property
    def since(self) -> float:
        """The instant from which on it has waited."""
        ...

    def grant(self, slot: S_contra) -> bool:
        """Take the slot; False if whoever waited is gone."""
        ...

    def expire(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class CheckoutQueue(Generic[S]):
    """Those who wait, the oldest first."""

    def __init__(self, max_waiting: int | None) -> None:
        self._max_waiting = max_waiting
        # A dict for its order and for removal from the middle in constant time.
        self.tickets: dict[Ticket[S], None] = {}

    @property
    def waiting(self) -> int:
        return len(self.tickets)

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self._max_waiting is not None and len(self.tickets) >= self._max_waiting

    def join(self, ticket: Ticket[S], *, in_front: bool = False) -> None:
        """Wait for a slot.

        A ticket goes `in_front` when the slot it was served died before it
        could be used: it had its turn.
        """
        if in_front:
            self.tickets = {ticket: None, **self.tickets}
        else:
            self.tickets[ticket] = None

    def leave(self, ticket: Ticket[S]) -> bool:
        """Stop waiting; False if the ticket had ended already."""
        if ticket not in self.tickets:
            return False
        del self.tickets[ticket]
        return True

    def grant(self, slot: S, now: float) -> bool:
        """Hand the slot to the oldest waiter who is still there; False if there is none."""
        while self.tickets:
            ticket = next(iter(self.tickets))
            del self.tickets[ticket]
            if ticket.deadline is not None and ticket.deadline <= now:
                ticket.expire()
            elif ticket.grant(slot):
                return True
        return False

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """End all waiting, each with an error of its own."""
        waiting, self.tickets = self.tickets, {}
        for ticket in waiting:
            ticket.fail(make_error())
