"""When the rules are to be asked again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from pool.config import PoolConfig
from pool.ledger import Ledger
from pool.ledger.members import Member
from pool.lifecycle import SlotEvent
from pool.slots import Slot
from tests.unit.ledger_book import (
    Book,
    closed,
    lend,
    opened,
    serves,
    starts,
    waits,
)
from tests.unit.ledger_keeper import ReadyWait, Ticket

EVENTS: dict[str, Callable[[Book, Member], object]] = {
    "resize": lambda book, _: book.resize(1, 0),
    "drain": lambda book, _: book.drain(),
    "close": lambda book, _: book.close(0.0, closed),
    "terminate": lambda book, _: book.terminate(closed),
    "join": lambda book, _: waits(book),
    "answered": lambda book, worker: book.answered(worker),
    "abandoned": lambda book, _: book.abandoned(),
    "join_ready": lambda book, _: book.join_ready(ReadyWait(1)),
    "add": lambda book, _: starts(book),
    "put_in_service": lambda book, worker: book.put_in_service(worker, 0.0),
    "make_due": lambda book, worker: book.make_due(worker, "reload"),
    "pardon": lambda book, _: book.pardon("reload"),
    "release": lambda book, worker: book.release(worker, "unwanted", 0.0),
    "leaves": lambda book, worker: book.leaves(worker),
    "exited": lambda book, worker: book.exited(worker, None, 0.0),
    "validated": lambda book, _: book.validated(),
    "renewed": lambda book, _: book.renewed(outdated=lambda _: False),
}


@pytest.mark.parametrize("event", EVENTS)
def test_after_most_events_they_are(event: str) -> None:
    book = opened(size=4)
    worker = serves(book)
    before = book.is_unsettled
    EVENTS[event](book, worker)
    after = book.is_unsettled
    book.settled()
    assert (before, after, book.is_unsettled) == (False, True, False)


def test_not_before_it_is_open() -> None:
    book: Book = Ledger(PoolConfig(bridge="b"), Random(0))
    before = book.is_unsettled
    book.open()
    assert (before, book.is_unsettled) == (False, True)


def test_when_another_is_ready_even_if_it_is_held_back() -> None:
    book = opened(size=1, spares=1)
    serves(book)
    worker = starts(book)
    book.settled()
    worker.handshaken(0.0)
    book.ready(worker, 0.0)
    assert (worker.is_spare, book.is_unsettled) == (True, True)


def test_when_the_environment_turns_out_unfit() -> None:
    book: Book = Ledger(PoolConfig(bridge="b"), Random(0))
    book.open()
    book.settled()
    book.validation_failed(closed, 0.0)
    assert book.is_unsettled is True


def test_when_a_late_reply_comes() -> None:
    book = opened()
    serves(book)
    slot = lend(book)
    slot.advance(SlotEvent.ABANDON)
    book.settled()
    book.late_reply(slot, 0.0)
    assert book.is_unsettled is True


def test_not_at_what_changes_nothing() -> None:
    book = opened(size=1)
    worker = serves(book)
    ticket = waits(book)
    book.settled()
    book.leave(ticket)
    book.give_back(lend(book), 0.0)
    book.calls_under_way += 1
    book.call_ends()
    assert book.is_unsettled is False
    book.answered(worker)
    book.settled()
    book.answered(worker)
    book.measured(worker, 10**12, 1e9)
    assert book.is_unsettled is False


ENDS: list[Callable[[Book, Slot[Member], Ticket], object]] = [
    lambda book, slot, _: book.give_back(slot, 0.0),
    lambda book, _, ticket: book.leave(ticket),
    lambda book, _, __: book.call_ends(),
]


@pytest.mark.parametrize("end", ENDS)
def test_while_it_drains_at_any_end(end: Callable[[Book, Slot[Member], Ticket], object]) -> None:
    book = opened(size=1)
    serves(book)
    slot, ticket = lend(book), waits(book)
    book.calls_under_way += 1
    book.drain()
    book.settled()
    end(book, slot, ticket)
    assert book.is_unsettled is True


@pytest.mark.parametrize("end", ENDS)
def test_what_has_to_be_settled_still_has_to_be(
    end: Callable[[Book, Slot[Member], Ticket], object],
) -> None:
    book = opened(size=1)
    serves(book)
    slot, ticket = lend(book), waits(book)
    book.calls_under_way += 1
    book.is_unsettled = True
    end(book, slot, ticket)
    assert book.is_unsettled is True


def test_who_joins_at_the_limit_changes_nothing() -> None:
    book = opened(size=1)
    serves(book)
    lend(book)
    waits(book)
    assert book.is_unsettled is False
    book.is_unsettled = True
    waits(book)
    assert book.is_unsettled is True
