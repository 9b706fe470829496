"""Work, admission and slots, as the book has them."""

from __future__ import annotations

from random import Random

import pytest

from pool.config import PoolConfig
from pool.errors import PoolClosed
from pool.ledger import Ledger
from pool.ledger.service import MARGIN
from pool.lifecycle import SlotEvent, SlotState, WorkerEvent
from tests.unit.ledger_book import (
    Book,
    closed,
    lend,
    loses,
    opened,
    serves,
    starts,
    waits,
)
from tests.unit.ledger_keeper import ReadyWait, Ticket

# Work


def test_who_was_admitted_may_wait_again_until_the_pool_shuts() -> None:
    book: Book = Ledger(PoolConfig(bridge="b"), Random(0))
    new = book.serves_the_queue
    book.open()
    serves(book)
    lend(book)
    is_open = book.serves_the_queue
    book.drain()
    draining = book.serves_the_queue
    book.close(0.0, closed)
    assert (new, is_open, draining, book.serves_the_queue) == (False, True, True, False)


def test_nobody_may_wait_again_when_all_work_is_done_or_in_a_crash_loop() -> None:
    book = opened()
    book.life.fail()
    failed = book.serves_the_queue
    book.drain()
    assert (failed, book.serves_the_queue) == (False, False)


def test_a_pool_is_over_when_all_work_is_done() -> None:
    book = opened()
    serves(book)
    slot, ticket = lend(book), waits(book)
    book.calls_under_way += 2
    over = [book.is_over]
    book.drain()
    over.append(book.is_over)
    book.give_back(slot, 0.0)
    assert ticket.slot is slot
    over.append(book.is_over)
    book.give_back(slot, 0.0)
    over.append(book.is_over)
    book.call_ends()
    over.append(book.is_over)
    book.call_ends()
    assert [*over, book.is_over] == [False] * 5 + [True]


def test_a_wait_for_a_slot_is_work() -> None:
    book = opened()
    ticket = waits(book)
    book.drain()
    over = book.is_over
    book.leave(ticket)
    assert (over, book.is_over) == (False, True)


def test_a_pool_is_over_when_it_is_hurried() -> None:
    book = opened(grace_period=3.0)
    serves(book)
    lend(book)
    book.close(10.0, closed)
    over = []
    for now in (12.9, 13.0):
        book.tick(now)
        over.append(book.is_over)
    assert over == [False, True]


def test_what_drains_wants_nobody() -> None:
    book = opened(size=3, min_ready=2, spares=1)
    serves(book)
    wanted = book.counts()
    book.drain()
    counts = book.counts()
    assert (wanted.keep, wanted.floor, wanted.reserve) == (1, 2, 1)
    assert (counts.keep, counts.floor, counts.reserve, counts.serving) == (0, 0, 0, 1)


def test_those_wanted_are_min_ready_or_what_somebody_waits_for() -> None:
    book = opened(size=4, min_ready=2)
    book.join_ready(ReadyWait(3))
    assert book.counts().floor == 3


@pytest.mark.parametrize("how", ["close", "terminate", "closed"])
def test_whoever_waits_at_the_end_is_told(how: str) -> None:
    book = opened()
    ticket, wait = waits(book), ReadyWait(1)
    book.join_ready(wait)
    if how == "close":
        book.close(0.0, closed)
    elif how == "terminate":
        book.terminate(closed)
    else:
        book.closed(closed)
    assert isinstance(ticket.error, PoolClosed)
    assert wait.has_ended
    assert book.life.is_closed is (how == "closed")


# Admission


@pytest.mark.parametrize("max_waiting", [0, 2])
@pytest.mark.parametrize("serving", [0, 1, 3])
@pytest.mark.parametrize("slots", [1, 8])
def test_as_many_may_wait_and_one_for_each_slot_that_may_come(
    max_waiting: int, serving: int, slots: int
) -> None:
    book = opened(size=2, overflow=1, max_waiting=max_waiting, concurrency=slots)
    for _ in range(serving):
        serves(book)
    waiting = 0
    while book.has_room():
        waits(book)
        waiting += 1
        assert waiting < 50
    assert waiting == max_waiting + (3 - serving) * slots


def test_after_a_resize_as_many_may_wait_as_before() -> None:
    book = opened(size=3, max_waiting=1)
    for _ in range(3):
        serves(book)
    book.resize(1, 0)
    assert book.has_room()


def test_the_queue_takes_its_turns_over_all_slots_that_serve_or_start() -> None:
    book = opened()
    serves(book)
    starts(book)
    book.times.held(8.0)
    book.settled()
    for _ in range(3):
        waits(book)
    assert book.wait_estimate() == 16.0


def test_who_would_not_be_served_in_time_is_refused() -> None:
    book = opened(size=1)
    serves(book)
    book.times.held(8.0)
    latest = 100.0 + 8.0 * MARGIN
    assert MARGIN == 1.25
    assert book.can_serve_by(latest, 100.0)
    assert not book.can_serve_by(latest - 0.01, 100.0)
    assert book.can_serve_by(None, 100.0)


@pytest.mark.parametrize(("overflow", "slots", "may_come"), [(0, 1, 0), (2, 1, 2), (1, 8, 8)])
def test_who_waits_for_a_worker_that_may_start_is_not_refused(
    overflow: int, slots: int, may_come: int
) -> None:
    book = opened(size=1, overflow=overflow, concurrency=slots)
    serves(book)
    book.times.held(8.0)
    waiting = 0
    while book.can_serve_by(101.0, 100.0):
        waits(book)
        waiting += 1
    assert waiting == may_come


def test_a_pool_whose_workers_have_left_is_not_overloaded() -> None:
    book = opened(size=1)
    worker = serves(book)
    book.times.held(8.0)
    assert not book.can_serve_by(101.0, 100.0)
    loses(book, worker, reason="idle")
    assert book.can_serve_by(101.0, 100.0)


def test_while_nothing_is_known_nobody_is_refused() -> None:
    assert opened().can_serve_by(99.0, 100.0)


# Slots


def test_who_joins_is_served_in_turn_and_in_front_who_had_one() -> None:
    book = opened()
    first, second, returning = waits(book), waits(book), Ticket(None)
    book.join(returning, in_front=True)
    worker = serves(book)
    slot = worker.slots[0]
    for ticket in (returning, first, second):
        assert ticket.slot is slot
        book.give_back(slot, 0.0)


def test_the_time_a_slot_was_held_is_measured() -> None:
    book = opened()
    serves(book)
    book.give_back(lend(book, 5.0), 7.5)
    assert (book.times.mean_held, book.lobby.idle_slots) == (2.5, 1)


def test_a_slot_whose_call_was_given_up_cannot_be_given_back() -> None:
    book = opened()
    serves(book)
    slot = lend(book)
    slot.advance(SlotEvent.ABANDON)
    book.give_back(slot, 1.0)
    assert (slot.state, book.times.mean_held) == (SlotState.ABANDONED, None)


def test_a_late_reply_frees_the_slot_and_the_worker_serves_again() -> None:
    book, wait = opened(size=2), ReadyWait(1)
    serves(book)
    slot = lend(book)
    slot.advance(SlotEvent.ABANDON)
    book.join_ready(wait)
    told = wait.has_ended
    book.late_reply(slot, 1.0)
    assert (told, wait.has_ended, book.lobby.idle_slots) == (False, True, 1)


def test_a_slot_of_one_who_goes_is_not_lent_again() -> None:
    book = opened()
    worker = serves(book, slots=2)
    slot = lend(book)
    book.release(worker, "unwanted", 3.0)
    assert (worker.released, worker.released_at, book.lobby.idle_slots) == ("unwanted", 3.0, 0)
    book.settled()
    book.give_back(slot, 4.0)
    assert (book.lobby.idle_slots, book.is_unsettled) == (0, True)


def test_a_slot_of_one_who_is_gone_is_not_lent_again() -> None:
    book = opened()
    worker = serves(book)
    slot = lend(book)
    worker.leave(WorkerEvent.KILL, "protocol", 0.0)
    book.give_back(slot, 0.0)
    assert book.lobby.idle_slots == 0


# Those who wait for workers


def test_who_waits_for_workers_that_serve_already_is_told_at_once() -> None:
    book, wait = opened(), ReadyWait(1)
    serves(book)
    book.join_ready(wait)
    assert wait.has_ended


def test_who_waits_for_more_than_there_may_be_is_told_after_a_resize() -> None:
    book, wait = opened(size=3), ReadyWait(3)
    serves(book)
    serves(book)
    book.join_ready(wait)
    told = wait.has_ended
    book.resize(2, 0)
    assert (told, wait.has_ended) == (False, True)
