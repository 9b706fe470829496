"""Where callers wait: for a slot, or for workers to be ready."""

from __future__ import annotations

import pytest

from pool.ledger.lobby import Lobby
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import SlotState
from tests.unit.ledger_keeper import Ticket


class Wait:
    def __init__(self, count: int) -> None:
        self.count = count
        self.end: object = None

    def grant(self) -> None:
        self.end = "granted"

    def fail(self, error: Exception) -> None:
        self.end = error


def lobby(max_waiting: int | None = None) -> Lobby[Member]:
    return Lobby(max_waiting)


def worker() -> Member:
    return Member("w", 2, Term(), 0.0)


def test_an_idle_slot_is_lent_from_now_on() -> None:
    room, member = lobby(), worker()
    room.offer(member.slots[0], 4.0)
    assert (member.last_active, room.idle_slots) == (4.0, 1)
    slot = room.take_idle(7.0)
    assert slot is member.slots[0]
    assert (slot.state, slot.lent_at, room.idle_slots) == (SlotState.BUSY, 7.0, 0)
    assert room.take_idle(8.0) is None


def test_who_waits_is_lent_it_at_once() -> None:
    room, member, ticket = lobby(), worker(), Ticket(None)
    room.join(ticket, in_front=False)
    room.offer(member.slots[0], 4.0)
    slot = ticket.slot
    assert slot is not None
    assert (slot.state, slot.lent_at) == (SlotState.BUSY, 4.0)
    assert (member.last_active, room.idle_slots, room.waiting) == (0.0, 0, 0)


def test_who_waited_too_long_is_lent_nothing() -> None:
    room, member, ticket = lobby(), worker(), Ticket(3.0)
    room.join(ticket, in_front=False)
    room.offer(member.slots[0], 4.0)
    assert isinstance(ticket.error, TimeoutError)
    assert (member.last_active, room.idle_slots) == (4.0, 1)


def test_who_had_a_turn_goes_in_front() -> None:
    room, first, second = lobby(), Ticket(None), Ticket(None)
    room.join(first, in_front=False)
    room.join(second, in_front=True)
    room.offer(worker().slots[0], 0.0)
    assert (first.slot is None, second.slot is None) == (True, False)


def test_a_workers_slots_are_withdrawn() -> None:
    room, stays, goes = lobby(), worker(), worker()
    for slot in (*stays.slots, *goes.slots):
        room.offer(slot, 0.0)
    room.withdraw(goes)
    assert room.idle_slots == 2
    assert room.take_idle(0.0) is stays.slots[1]


def test_it_is_full_when_as_many_wait_for_a_slot_as_may() -> None:
    room, ticket = lobby(max_waiting=1), Ticket(None)
    room.join_ready(Wait(1))
    full = [room.is_full]
    room.join(ticket, in_front=False)
    full.append(room.is_full)
    assert [room.leave(ticket), room.leave(ticket)] == [True, False]
    full.append(room.is_full)
    assert full == [False, True, False]


def test_it_is_empty_when_nobody_waits_for_anything() -> None:
    room, ticket, wait = lobby(), Ticket(None), Wait(1)
    empty = [room.is_empty]
    room.join_ready(wait)
    empty.append(room.is_empty)
    room.join(ticket, in_front=False)
    room.leave_ready(wait)
    empty.append(room.is_empty)
    room.leave(ticket)
    empty.append(room.is_empty)
    assert empty == [True, False, False, True]


def test_as_many_are_wanted_as_the_most_demanding_waits_for() -> None:
    room, waits = lobby(), [Wait(1), Wait(3), Wait(2)]
    assert room.ready_wanted == 0
    for wait in waits:
        room.join_ready(wait)
    assert room.ready_wanted == 3
    room.leave_ready(waits[1])
    room.leave_ready(waits[1])
    assert room.ready_wanted == 2


@pytest.mark.parametrize(
    ("serving", "size", "granted"),
    [(0, 4, []), (1, 4, [1]), (2, 4, [1, 2]), (2, 2, [1, 2, 3]), (3, 4, [1, 2, 3])],
)
def test_who_waits_for_workers_is_told(serving: int, size: int, granted: list[int]) -> None:
    room, waits = lobby(), [Wait(1), Wait(2), Wait(3)]
    for wait in waits:
        room.join_ready(wait)
    room.tell_serving(serving, size)
    assert [wait.count for wait in waits if wait.end == "granted"] == granted
    assert room.ready_wanted == (0 if len(granted) == 3 else 3)


def test_failing_all_ends_every_wait_with_an_error_of_its_own() -> None:
    room, ticket, waits = lobby(), Ticket(None), [Wait(1), Wait(1)]
    room.join(ticket, in_front=False)
    for wait in waits:
        room.join_ready(wait)
    room.fail_all(lambda: ValueError("closed"))
    ends = [ticket.error, *(wait.end for wait in waits)]
    assert all(isinstance(end, ValueError) for end in ends)
    assert len({id(end) for end in ends}) == 3
    assert room.is_empty
