"""Who gets which slot next."""

from __future__ import annotations

from pool.checkout import CheckoutQueue


class Ticket:
    since = 0.0

    def __init__(self, deadline: float | None = None, *, gone: bool = False) -> None:
        self.deadline = deadline
        self.gone = gone
        self.end: object = None

    def grant(self, slot: str) -> bool:
        if self.gone:
            return False
        self.end = slot
        return True

    def expire(self) -> None:
        self.end = "expired"

    def fail(self, error: Exception) -> None:
        self.end = error


def test_waiters_are_served_first_come_first_served() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    first, second = Ticket(), Ticket()
    queue.join(first)
    queue.join(second)
    assert queue.grant("a", 0.0)
    assert queue.grant("b", 0.0)
    assert (first.end, second.end, queue.waiting) == ("a", "b", 0)


def test_a_slot_goes_to_who_is_still_there() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    expired, gone, taker = Ticket(deadline=1.0), Ticket(gone=True), Ticket(deadline=5.0)
    for ticket in (expired, gone, taker):
        queue.join(ticket)
    assert queue.grant("a", 2.0)
    assert (expired.end, taker.end) == ("expired", "a")
    assert not queue.grant("b", 2.0)
    assert queue.waiting == 0


def test_leaving_costs_nothing_and_happens_once() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    ticket = Ticket()
    queue.join(ticket)
    assert queue.leave(ticket)
    assert not queue.leave(ticket)
    assert not queue.grant("a", 0.0)


def test_the_queue_has_a_limit() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(1)
    assert not queue.is_full
    queue.join(Ticket())
    assert queue.is_full


def test_the_queue_may_have_no_limit() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    queue.join(Ticket())
    assert not queue.is_full


def test_a_deadline_has_passed_at_its_instant() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    ticket = Ticket(deadline=2.0)
    queue.join(ticket)
    assert not queue.grant("a", 2.0)
    assert ticket.end == "expired"


def test_who_had_a_turn_goes_in_front_and_over_the_limit() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(1)
    waits, returning = Ticket(), Ticket()
    queue.join(waits)
    queue.join(returning, in_front=True)
    assert queue.grant("a", 0.0)
    assert queue.grant("b", 0.0)
    assert (returning.end, waits.end) == ("a", "b")


def test_failing_all_ends_every_wait_with_an_error_of_its_own() -> None:
    queue: CheckoutQueue[str] = CheckoutQueue(None)
    tickets = [Ticket(), Ticket()]
    for ticket in tickets:
        queue.join(ticket)
    queue.fail_all(lambda: ValueError("closed"))
    assert all(isinstance(ticket.end, ValueError) for ticket in tickets)
    assert tickets[0].end is not tickets[1].end
    assert queue.waiting == 0
